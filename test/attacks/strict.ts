import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import { createNameServerResolve } from '../../src/outside/address-guard.ts';
import { createDoor } from '../../src/outside/http.ts';
import { startTestBroker, type TestBroker, type TestBrokerOptions } from '../harness/broker.ts';
import { testRedisUrl } from '../harness/redis.ts';
import { serveNames } from '../outside/name-server.ts';

/** A broker that calls public addresses only, a name server of the test's own, a canary on this machine that nobody may reach, and a worker at a Redis. */

export type Strict = {
  broker: TestBroker;
  /** Where the canary listens, on 127.0.0.1. */
  port: number;
  /** Connections that reached the canary. */
  reached(): number;
  /** How often this name was asked for. */
  asked(hostname: string): number;
  /** Where its queues are. */
  redisUrl: string;
  /** Makes a name stand for these addresses; `then`: for those from the second question on. */
  name(hostname: string, records: Records, then?: Records): void;
  stop(): Promise<void>;
};

export type Records = { a?: readonly number[]; aaaa?: readonly number[] };

export const loopback = { a: [127, 0, 0, 1] } satisfies Records;
/** Looks public (2d00::1), and is nobody's: no connection of a test leaves for anywhere. */
export const nowhere = { aaaa: [0x2d, ...Array.from({ length: 14 }, () => 0), 1] } satisfies Records;

export async function startStrict({
  start,
  openDoor = createDoor,
}: {
  start?: TestBrokerOptions['start'];
  openDoor?: typeof createDoor;
}): Promise<Strict> {
  let reached = 0;
  const canary = createServer((socket) => {
    reached += 1;
    socket.on('error', () => {}).destroy();
  });
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  const address = canary.address();
  const records: Record<string, Records> = {};
  const asked: string[] = [];
  const later = new Map<string, Records>();
  const names = await serveNames(records);
  const ask = createNameServerResolve({ servers: [names.server] });
  const door = openDoor({
    allowPrivateHosts: false,
    deadlineMs: 2_000,
    async resolve(hostname) {
      asked.push(hostname);
      const found = await ask(hostname);
      const next = later.get(hostname);
      if (next !== undefined) records[hostname] = next;
      return found;
    },
  });
  const redisUrl = new URL(testRedisUrl());
  // Two stages, two databases of Redis that no other test uses.
  redisUrl.pathname = start === undefined ? '/3' : '/4';
  const redis = new Redis(redisUrl.href);
  await redis.flushdb();
  redis.disconnect();
  const broker = await startTestBroker({
    env: { GRANTRY_ALLOW_PRIVATE_HOSTS: 'false', GRANTRY_ROLE: 'all', REDIS_URL: redisUrl.href },
    adapt: (world) => ({ ...world, door: door.send }),
    ...(start !== undefined && { start }),
  });
  return {
    broker,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    reached: () => reached,
    asked: (hostname) => asked.filter((name) => name === hostname).length,
    redisUrl: redisUrl.href,
    name(hostname, first, then) {
      records[hostname] = first;
      if (then !== undefined) later.set(hostname, then);
    },
    async stop() {
      await broker.stop();
      await door.close();
      await names.close();
      canary.close();
    },
  };
}
