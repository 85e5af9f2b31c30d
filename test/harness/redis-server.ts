import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { aptInstall, firstProgram } from './apt.ts';
import type { Provided } from './provided.ts';
import { spawnTied } from './tied.ts';

/** For the global setup: REDIS_URL, else a `redis-server` of our own (installed when it can be) on a free port that keeps nothing. */
export async function startTestRedis(): Promise<{ redis: Provided; stop(): Promise<void> }> {
  const given = process.env.REDIS_URL;
  if (given) return { redis: { value: given }, stop: async () => undefined };
  const program = await redisProgram();
  if (program === undefined) {
    return { redis: { missing: 'Tests of Redis need one: set REDIS_URL, or install redis-server.' }, stop: async () => undefined };
  }
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', '/tmp'];
  const server = spawnRedis([program, ...args]);
  for (let left = 400; !(await answers(port)); left--) {
    if (left === 0) throw new Error(`${program} does not start on port ${port}`);
    await sleep(25);
  }
  return { redis: { value: `redis://127.0.0.1:${port}` }, stop: server.end };
}

/** The `redis-server` of this machine, installed when it can be. */
export const redisProgram = async (): Promise<string | undefined> =>
  firstProgram(['redis-server']) ?? ((await aptInstall('redis-server')) ? firstProgram(['redis-server']) : undefined);

/** Runs the command until `end`; it need not answer yet. */
export const spawnRedis = (command: readonly string[]): { end(): Promise<void> } =>
  spawnTied('"$@" & server=$!; cat > /dev/null; kill $server; wait $server', command);

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('data', (answer) => {
      socket.destroy();
      resolve(answer.toString().startsWith('+PONG'));
    });
    socket.write('PING\r\n');
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}
