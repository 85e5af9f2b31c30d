import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { serverAccount } from '../../src/outside/embedded-postgres/account.ts';
import { packagedNative, runnableNative } from '../../src/outside/embedded-postgres/binaries.ts';
import { dataDirectoryArgument, homeIn } from '../../src/outside/embedded-postgres/cluster.ts';
import { postmasterOf } from '../../src/outside/embedded-postgres/postmaster.ts';
import { programEnvironment } from '../../src/outside/embedded-postgres/program.ts';
import { startEmbeddedPostgres } from '../../src/outside/embedded-postgres.ts';
import { firstProgram } from '../harness/apt.ts';
import { freePort } from '../harness/free-port.ts';
import { spawnTied } from '../harness/tied.ts';

/** A Postgres and a Redis of one's own, which can be ended the hard way and come back at the same address. Nothing outlives this process. */

export type Server = {
  url: string;
  /** Ends it at once: nothing is written, nobody is told. */
  crash(): Promise<void>;
  /** Starts it again; resolves when it answers. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** A crash of the server is no crash of the machine: what it has written is there, flushed or not. */
const settings = { fsync: 'off', max_connections: '200' };

/** Crashed as by `pg_ctl stop -m immediate`. */
export async function startPostgres(): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), 'grantry-torture-'));
  const cleaner = spawnTied('cat > /dev/null; pid=$(head -n 1 "$1/cluster/postmaster.pid") && kill -QUIT $pid && sleep 1; rm -rf "$1"', [dataDir]);
  const { url, stop } = await startEmbeddedPostgres({ dataDir, log: () => undefined, settings });
  const home = homeIn(dataDir);
  const account = await serverAccount(home.cluster);
  const native = await runnableNative({ native: packagedNative(), home: home.directory, account });
  const fixed = { ...settings, port: new URL(url).port, listen_addresses: '127.0.0.1', unix_socket_directories: '' };
  const args = ['-D', dataDirectoryArgument(home.cluster, account), ...Object.entries(fixed).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  return {
    url,
    async crash() {
      const running = postmasterOf(home.cluster);
      if (running === undefined) return;
      process.kill(running.pid, 'SIGQUIT');
      while (postmasterOf(home.cluster)?.pid === running.pid) await sleep(10);
    },
    async restart() {
      const child = spawn(join(native, 'bin', 'postgres'), args, {
        ...account,
        cwd: home.cluster,
        env: programEnvironment,
        detached: true,
        stdio: 'ignore',
      });
      child.unref();
      while (postmasterOf(home.cluster)?.status !== 'ready') {
        if (child.exitCode !== null) throw new Error('Postgres does not start again.');
        await sleep(10);
      }
    },
    async stop() {
      await stop();
      await cleaner.end();
    },
  };
}

/** Keeps nothing: a crash is the loss of all that it had. */
export async function startRedis(): Promise<Server & { client: Redis }> {
  const program = firstProgram(['redis-server']);
  if (program === undefined) throw new Error('A torture needs redis-server on the PATH.');
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', '/tmp'];
  const launch = () => spawnTied('"$@" & server=$!; cat > /dev/null; kill -9 $server; wait $server', [program, ...args]);
  let server = launch();
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => {});
  await client.ping();
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    crash: () => server.end(),
    async restart() {
      server = launch();
      await client.ping();
    },
    async stop() {
      client.disconnect();
      await server.end();
    },
  };
}
