import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, link, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GrantryError } from '../../protocol/errors.ts';
import type { Account } from './account.ts';
import { runProgram } from './program.ts';

/** The files of one embedded Postgres; `directory` is a real path (no symbolic link in it). */
export type Home = { directory: string; cluster: string; passwordFile: string; logFile: string; users: string };

/** Where everything lies below the data directory. */
export function homeIn(directory: string): Home {
  const under = (name: string) => join(directory, name);
  return {
    directory,
    cluster: under('cluster'),
    passwordFile: under('password'),
    logFile: under('server.log'),
    users: under('users'),
  };
}

/** The superuser of the cluster. */
export const superuser = 'grantry';

/**
 * How the programs are told their data directory; they are always started inside it. Below a directory that the server's account may not
 * enter (/root) the real path is of no use to them, but the one they stand in is: the kernel has already opened it for them.
 */
export function dataDirectoryArgument(directory: string, account: Account | undefined): string {
  return account !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : directory;
}

/** The superuser's password: made once (256 bits), kept in a file that only the server's account and root can read (0600). */
export async function clusterPassword(home: Home, account: Account | undefined): Promise<string> {
  if (!existsSync(home.passwordFile)) {
    if (existsSync(home.cluster)) {
      throw new GrantryError('unavailable', {
        detail: `The password of the embedded Postgres is gone (${home.passwordFile}): bring it back, or remove ${home.directory} and all data.`,
      });
    }
    const draft = `${home.passwordFile}.${randomBytes(6).toString('hex')}`;
    await writeFile(draft, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
    if (account) await chown(draft, account.uid, account.gid);
    await link(draft, home.passwordFile).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // another process was quicker: its password counts
    });
    await rm(draft);
  }
  return await readFile(home.passwordFile, 'utf8');
}

/**
 * Makes the cluster unless it exists. It is made in a draft and moved into place complete: a start that was killed leaves none, and of two
 * processes at once one wins. Throws `unavailable` with the end of initdb's output.
 */
export async function createCluster({
  home,
  native,
  account,
  durable,
}: {
  home: Home;
  native: string;
  account: Account | undefined;
  durable: boolean;
}): Promise<void> {
  if (!existsSync(home.cluster)) {
    const draft = await mkdtemp(join(home.directory, 'init-'));
    if (account) await chown(draft, account.uid, account.gid);
    const place = dataDirectoryArgument(draft, account);
    const initdb = await runProgram(
      join(native, 'bin', 'initdb'),
      [
        '-D',
        place,
        '-U',
        superuser,
        '-A',
        'scram-sha-256',
        `--pwfile=${place}/../password`,
        '-E',
        'UTF8',
        '--locale=C',
        ...(durable ? [] : ['--no-sync']),
      ],
      { account, cwd: draft },
    );
    const moved =
      initdb.ok &&
      (await rename(draft, home.cluster).then(
        () => true,
        () => false,
      ));
    if (!moved && !existsSync(home.cluster)) {
      await rm(draft, { recursive: true, force: true });
      throw new GrantryError('unavailable', { detail: `initdb failed:\n${lastLines(initdb.output)}` });
    }
  }
  for (const name of await readdir(home.directory)) {
    if (name.startsWith('init-')) await rm(join(home.directory, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The end of a program's output, for a person to read. */
export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-15).join('\n');
}
