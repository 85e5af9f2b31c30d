import { BrokerUnreachable, GrantryProblem, UnreadableAnswer } from '../client/client.ts';
import { missingAt } from './missing.ts';

/** What a command ends with. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, unreachable: 3, forbidden: 4, aborted: 130 } as const;

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

/** Ctrl-C, with nothing more to say. */
export class Aborted extends Error {
  override readonly name = 'Aborted';
}

type Fault = { pointer: string; detail: string };

const faultsOf = ({ problem }: GrantryProblem): Fault[] => (Array.isArray(problem.errors) ? problem.errors : []);

/** A problem in one sentence, with the first place that it names. */
export function sentenceOf(error: GrantryProblem): string {
  const [fault, ...others] = faultsOf(error);
  if (fault === undefined) return error.message;
  const sentence = fault.pointer === '' ? fault.detail : `${fault.pointer}: ${fault.detail}`;
  return others.length === 0 ? sentence : `${sentence} (and ${others.length} more)`;
}

function refusal(error: GrantryProblem): Outcome {
  const faults = faultsOf(error);
  // Where there is one fault, the sentence mostly says it.
  const listed =
    faults.length === 1 && faults.every(({ pointer, detail }) => error.message.includes(detail) && error.message.includes(pointer)) ? [] : faults;
  const missing = error.code === 'not_found' && error.problem.detail === undefined ? missingAt(error.path) : undefined;
  const lines = [
    `${error.code}: ${missing ?? error.message}`,
    ...listed.map(({ pointer, detail }) => `  ${pointer === '' ? '/' : pointer}  ${detail}`),
  ];
  const exitCode = error.status === 401 || error.status === 403 ? exitCodes.forbidden : exitCodes.failed;
  return { text: lines.join('\n'), exitCode, problem: error.problem };
}

/** What answers is not the broker, or stands before it. */
function strange(detail: string): Outcome {
  return { text: `unreachable: ${detail}`, exitCode: exitCodes.unreachable, problem: { code: 'unreachable', detail } };
}

function notItsWords({ status, problem }: GrantryProblem, url: string): Outcome {
  if (typeof problem.location === 'string')
    return strange(`${url} sends callers on to ${problem.location}. Set GRANTRY_URL or --url to the address at which the broker itself answers.`);
  return strange(
    status >= 500
      ? `HTTP ${status} comes from what stands before the broker at ${url}: most likely the broker is away.`
      : `HTTP ${status} at ${url}, and not in the words of Grantry. Set GRANTRY_URL or --url to the broker's address.`,
  );
}

export type Outcome = { text: string; exitCode: number; problem: unknown };

/** The sentence for a person, and the exit code, for whatever a command threw. */
export function outcomeOf(error: unknown, url: string): Outcome {
  if (error instanceof GrantryProblem) return error.code === 'unknown' ? notItsWords(error, url) : refusal(error);
  if (error instanceof UnreadableAnswer) return strange(`What answers at ${url} is not Grantry. Set GRANTRY_URL or --url to the broker's address.`);
  if (error instanceof Aborted) return { text: '', exitCode: exitCodes.aborted, problem: { code: 'aborted', detail: 'Broken off.' } };
  if (error instanceof UsageError) return { text: error.message, exitCode: exitCodes.usage, problem: { code: 'usage', detail: error.message } };
  if (error instanceof FailedWork)
    return { text: error.message, exitCode: exitCodes.failed, problem: { code: 'failed', detail: error.message, ...error.members } };
  if (error instanceof BrokerUnreachable) {
    const detail = `Nothing answers at ${url}. Is the broker running there? Set GRANTRY_URL or --url to its address.`;
    return strange(detail);
  }
  // A file that was ours to write, such as a report on a disk that is full.
  if (error instanceof Error && 'syscall' in error)
    return { text: `failed: ${error.message}.`, exitCode: exitCodes.failed, problem: { code: 'failed', detail: error.message } };
  throw error;
}
