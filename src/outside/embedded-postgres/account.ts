import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { GrantryError } from '../../protocol/errors.ts';

/** A user of the operating system, by numbers. */
export type Account = { uid: number; gid: number };

/**
 * Who the server runs as. PostgreSQL refuses root, so when we are root this is the owner of the existing cluster, or else the system's
 * `postgres`, or else `nobody` (initdb insists on an account that has a name). Undefined when we are not root: it runs as we do.
 * Throws `unavailable` when none exists.
 */
export async function serverAccount(cluster: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const existing = await stat(cluster).catch(() => undefined);
  if (existing && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid };
  const account = (await accountNamed('postgres')) ?? (await accountNamed('nobody'));
  if (account) return account;
  throw new GrantryError('unavailable', {
    detail: 'The embedded Postgres cannot run as root, and there is neither a "postgres" nor a "nobody" account: set DATABASE_URL.',
  });
}

async function accountNamed(name: string): Promise<Account | undefined> {
  const run = promisify(execFile);
  try {
    const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)));
    return uid !== undefined && gid !== undefined && uid > 0 ? { uid, gid } : undefined;
  } catch {
    return undefined;
  }
}
