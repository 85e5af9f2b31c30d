import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Allowances, SharedLimits } from '../../src/broker/limits.ts';
import { createLimits } from '../../src/outside/limits.ts';
import { migrateDatabase, openPostgres } from '../../src/outside/postgres/database.ts';
import { openRedis } from '../../src/outside/redis.ts';
import { type Counter, createSharedLimits } from '../../src/outside/shared-limits.ts';
import { packageRoot } from '../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../harness/database.ts';
import { layLine } from '../harness/line.ts';
import { testRedisUrl } from '../harness/redis.ts';

const allowances: Allowances = { calls: 3, wrong_keys: 2, pages: 1, unknown_callbacks: 1, links: 1 };
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, join(packageRoot, 'drizzle')) });
});
afterAll(() => database?.drop());

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Kind = Counter['kind'];
const serverUrl = (kind: Kind) => (kind === 'redis' ? testRedisUrl() : database.url);
const portOf = (kind: Kind) => (kind === 'redis' ? 6379 : 5432);

async function counterAt(kind: Kind, url: string): Promise<Counter> {
  if (kind === 'redis') {
    const { redis, close } = await openRedis({ url, onError: () => {} });
    closers.push(close);
    return { kind, redis };
  }
  const { pool, close } = openPostgres({ url, max: 2, silenceMs: 1_000, onError: () => {} });
  closers.push(close);
  return { kind, pool };
}

type Process = { take: (...asked: Parameters<SharedLimits['take']>) => Promise<string>; away: () => number; after(ms: number): void };

/** One of several processes: what it is told, in short, and how often it was told that the counter is away. */
function processAt(counter: Counter): Process {
  let [nowMs, away] = [0, 0];
  const elapsedMs = () => nowMs;
  const limits = createSharedLimits({
    counter,
    allowances,
    inMemory: createLimits({ allowances, elapsedMs }),
    elapsedMs,
    onAway: () => {
      away += 1;
    },
  });
  return {
    take: async (what, who) => {
      const { kind, allowance, windowS, left, resetS } = await limits.take(what, who);
      expect([allowance, windowS]).toEqual([allowances[what], 60]);
      expect(resetS > 0 && resetS <= 60).toBe(true);
      return kind === 'allowed' ? `${left} left` : 'refused';
    },
    away: () => away,
    after: (ms) => {
      nowMs += ms;
    },
  };
}

const name = () => `name_${randomBytes(8).toString('hex')}`;

describe.each<Kind>(['redis', 'postgres'])('counted in %s', (kind) => {
  test('all processes count together; each name and each limit for itself', async () => {
    const [one, other] = [processAt(await counterAt(kind, serverUrl(kind))), processAt(await counterAt(kind, serverUrl(kind)))];
    const [who, neighbour] = [name(), name()];
    const told = [await one.take('calls', who), await other.take('calls', who), await one.take('calls', who)];
    expect(told).toEqual(['2 left', '1 left', '0 left']);
    expect([await one.take('calls', who), await other.take('calls', who)]).toEqual(['refused', 'refused']);
    expect([await one.take('calls', neighbour), await one.take('wrong_keys', who)]).toEqual(['2 left', '1 left']);
    expect([one.away(), other.away()]).toEqual([0, 0]);
  });

  test('thirty at once are no more than as many one after another', async () => {
    const processes = [processAt(await counterAt(kind, serverUrl(kind))), processAt(await counterAt(kind, serverUrl(kind)))];
    const who = name();
    const told = await Promise.all(Array.from({ length: 30 }, (_, n) => processes[n % 2]?.take('calls', who)));
    expect(told.filter((answer) => answer !== 'refused').sort()).toEqual(['0 left', '1 left', '2 left']);
  });

  test('away, it is each process for itself, and soon together again', async () => {
    const line = await layLine(serverUrl(kind), portOf(kind));
    closers.push(line.cut);
    const [cut, whole] = [processAt(await counterAt(kind, line.url)), processAt(await counterAt(kind, serverUrl(kind)))];
    const who = name();
    expect([await cut.take('calls', who), await whole.take('calls', who)]).toEqual(['2 left', '1 left']);
    await line.cut();
    expect([await cut.take('calls', who), await cut.take('calls', who)]).toEqual(['2 left', '1 left']);
    expect([await cut.take('calls', who), await cut.take('calls', who)]).toEqual(['0 left', 'refused']);
    // Asked once: after a failure the counter is left alone.
    expect([cut.away(), await whole.take('calls', name())]).toEqual([1, '2 left']);
    await line.mend();
    await expect
      .poll(
        () => {
          cut.after(5_000);
          return cut.take('calls', who);
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe('0 left');
    expect(await whole.take('calls', who)).toBe('refused');
  });

  test('fallen silent, it holds nobody up', async () => {
    const line = await layDumbLine(serverUrl(kind), portOf(kind));
    closers.push(line.close);
    const alone = processAt(await counterAt(kind, line.url));
    const who = name();
    expect([await alone.take('calls', who), alone.away()]).toEqual(['2 left', 0]);
    line.silence();
    expect([await alone.take('links', who), await alone.take('links', who), alone.away()]).toEqual(['0 left', 'refused', 1]);
  });
});

/** A line to a server of which, from a certain moment on, nothing comes back, though it takes everything. */
async function layDumbLine(serverAddress: string, defaultPort: number) {
  const target = new URL(serverAddress);
  let isSilent = false;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(target.port || defaultPort), target.hostname);
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}));
    near.pipe(far);
    far.on('data', (chunk) => isSilent || near.write(chunk));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = new URL(serverAddress);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    silence: () => {
      isSilent = true;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
