import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { GrantryError } from '../protocol/errors.ts';
import { serverAccount } from './embedded-postgres/account.ts';
import { packagedNative, runnableNative } from './embedded-postgres/binaries.ts';
import { clusterPassword, createCluster, type Home, homeIn, superuser } from './embedded-postgres/cluster.ts';
import { launchPostmaster, type Postmaster, settledPostmaster, stopPostmaster } from './embedded-postgres/postmaster.ts';
import { joinUsers } from './embedded-postgres/users.ts';

export type EmbeddedPostgres = {
  /** `postgres://` URL of the superuser on 127.0.0.1; holds the password, so never log it. The port is another one after each start. */
  url: string;
  /** Leaves the server. The last process that leaves stops it (fast shutdown, waits for its end); may be called twice. */
  stop(): Promise<void>;
};

export type EmbeddedPostgresOptions = {
  /** Everything lies in here: the cluster, its password (0600), the server's log. Made when absent. */
  dataDir: string;
  log: (message: string) => void;
  /** The directory with bin, lib and share; by default that of the installed platform package. */
  native?: string;
  /** Further settings of the server; `fsync: 'off'` also makes the cluster without flushing it to the disk. */
  settings?: Readonly<Record<string, string>>;
};

/**
 * A real PostgreSQL of our own, for development, demo and tests: UTF8, locale C, on a free port of 127.0.0.1, password only.
 *
 * A server that is alive in the same data directory is adopted, be it another process's or what is left of one that was killed. All
 * processes on one data directory share one server, and it ends with the last of them, whoever started it; one that was killed does not
 * count. (They must see each other's process numbers: two containers cannot share a data directory.)
 *
 * Throws `unavailable` with what to do: no binaries for this machine, or the last lines of the log of a server that does not start.
 */
export async function startEmbeddedPostgres({ dataDir, log, native, settings = {} }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const home = homeIn(await realpath(dataDir));
  // When we are root, the server's own account must be able to pass through to its cluster.
  if (process.getuid?.() === 0) await chmod(home.directory, (await stat(home.directory)).mode | 0o011);
  const user = joinUsers(home.users);
  try {
    const { port } = (await adopted(home, log)) ?? (await started(home, { log, native: native ?? packagedNative(), settings }));
    const password = await clusterPassword(home, undefined);
    let stopped: Promise<void> | undefined;
    const leave = async () => (user.leave().last ? await stopPostmaster(home.cluster) : undefined);
    return {
      url: `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`,
      stop: () => (stopped ??= leave()),
    };
  } catch (error) {
    user.leave();
    throw error;
  }
}

async function adopted(home: Home, log: (message: string) => void): Promise<Postmaster | undefined> {
  const running = await settledPostmaster(home.cluster);
  if (running) log(`Uses the embedded Postgres that is already running (process ${running.pid}, port ${running.port}).`);
  return running;
}

const attempts = 4;

/**
 * Of several starts at once only one gets its server up, since Postgres itself locks the cluster; the others then adopt that one. A second
 * try also helps when the port was taken meanwhile, or the sessions of a killed server have not all ended.
 */
async function started(
  home: Home,
  { log, native, settings }: Required<Pick<EmbeddedPostgresOptions, 'log' | 'native' | 'settings'>>,
): Promise<Postmaster> {
  const account = await serverAccount(home.cluster);
  const binaries = await runnableNative({ native, home: home.directory, account });
  await clusterPassword(home, account);
  await createCluster({ home, native: binaries, account, durable: settings.fsync !== 'off' });
  for (let attempt = 1; ; attempt++) {
    const launched = await launchPostmaster({ native: binaries, home, account, settings });
    if ('postmaster' in launched) {
      log(`Started the embedded Postgres in ${home.directory} (process ${launched.postmaster.pid}, port ${launched.postmaster.port}).`);
      return launched.postmaster;
    }
    const other = await adopted(home, log);
    if (other) return other;
    if (attempt === attempts) throw new GrantryError('unavailable', { detail: `The embedded Postgres does not start:\n${launched.failure}` });
    await sleep(attempt * 150);
  }
}
