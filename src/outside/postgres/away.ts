import { GrantryError } from '../../protocol/errors.ts';

/** Tells "Postgres cannot answer right now" from every other failure, so that callers hear 503 and not 500. */

const networkCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN']);
/** Connection failures, shutdown and recovery, too many connections, no space or memory, cancelled by timeout, deadlock, a standby. */
const stateCodes = /^(?:08|53|57P0|57014|40001|40P01|25006)/;
/** The pool and the client have no codes for these. */
const messages =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool|Query read timeout)/;

/** True when the failure, or what caused it, is of the connection and not of the statement. */
export function isPostgresAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError && error.errors.some(isPostgresAway)) return true;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (networkCodes.has(code) || stateCodes.test(code) || messages.test(error.message)) return true;
  return error.cause !== undefined && isPostgresAway(error.cause);
}

/** The same group of methods, with `unavailable` for what fails because Postgres is away. */
export function guarded<Group extends object>(group: Group): Group {
  const known = new Map<string | symbol, unknown>();
  return new Proxy(group, {
    get(target, name) {
      if (known.has(name)) return known.get(name);
      const method: unknown = Reflect.get(target, name);
      const guard = typeof method === 'function' ? (...args: unknown[]) => attempt(() => Reflect.apply(method, target, args)) : method;
      known.set(name, guard);
      return guard;
    },
  });
}

async function attempt(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    if (!isPostgresAway(error)) throw error;
    throw new GrantryError('unavailable', { detail: 'The database does not answer.', retryAfterS: 2, cause: error });
  }
}
