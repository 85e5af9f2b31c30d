import { BrokerUnreachable, GrantryProblem } from '../client/client.ts';

/** What a command ends with. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, unreachable: 3, forbidden: 4 } as const;

/** A wrong call of the command line; nothing was asked of the broker. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Work that was done and came to nothing, with its own sentence. */
export class FailedWork extends Error {
  override readonly name = 'FailedWork';
  /** What a program is told besides. */
  readonly members: object;

  constructor(message: string, members: object = {}) {
    super(message);
    this.members = members;
  }
}

type Fault = { pointer: string; detail: string };

const faultsOf = ({ problem }: GrantryProblem): Fault[] => (Array.isArray(problem.errors) ? problem.errors : []);

/** The sentence for a person, and the exit code, for whatever a command threw. */
export function outcomeOf(error: unknown, url: string): { text: string; exitCode: number; problem: unknown } {
  if (error instanceof GrantryProblem) {
    const lines = [
      `${error.code}: ${error.message}`,
      ...faultsOf(error).map(({ pointer, detail }) => `  ${pointer === '' ? '/' : pointer}  ${detail}`),
    ];
    const exitCode = error.status === 401 || error.status === 403 ? exitCodes.forbidden : exitCodes.failed;
    return { text: lines.join('\n'), exitCode, problem: error.problem };
  }
  if (error instanceof UsageError) return { text: error.message, exitCode: exitCodes.usage, problem: { code: 'usage', detail: error.message } };
  if (error instanceof FailedWork)
    return { text: error.message, exitCode: exitCodes.failed, problem: { code: 'failed', detail: error.message, ...error.members } };
  if (error instanceof BrokerUnreachable) {
    const detail = `Nothing answers at ${url}. Is the broker running there? Set GRANTRY_URL or --url to its address.`;
    return { text: `unreachable: ${detail}`, exitCode: exitCodes.unreachable, problem: { code: 'unreachable', detail } };
  }
  throw error;
}
