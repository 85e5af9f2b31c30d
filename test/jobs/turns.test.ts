import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTurns } from '../../src/jobs/turns.ts';

/** A worker that never has more than `slots` jobs, and sees what becomes of each. */
function startWorker(slots: number) {
  let nowMs = 1_000_000;
  const sleepers: { untilMs: number; wake: () => void }[] = [];
  const sleep = (ms: number) => new Promise<void>((wake) => sleepers.push({ untilMs: nowMs + ms, wake }));
  const turns = createTurns({ slots, elapsedMs: () => nowMs, sleep });
  const running: { n: number; host: string; release: () => void }[] = [];
  const waiting: { n: number; host: string }[] = [];
  const admitted: { n: number; host: string }[] = [];
  const sentAway: number[] = [];
  let jobs = 0;
  /** Promises that can be settled are. */
  const settle = async () => {
    for (let i = 0; i < 5; i += 1) await Promise.resolve();
  };
  return {
    running,
    waiting,
    admitted,
    sentAway,
    settle,
    of: (host: string) => running.filter((job) => job.host === host).length,
    async take(host: string): Promise<'go' | 'later' | 'waits'> {
      jobs += 1;
      const job = { n: jobs, host };
      waiting.push(job);
      let kind: 'go' | 'later' | 'waits' = 'waits';
      void turns.take(host).then((turn) => {
        kind = turn.kind;
        waiting.splice(waiting.indexOf(job), 1);
        if (turn.kind === 'later') return sentAway.push(turn.ms);
        admitted.push(job);
        return running.push({ ...job, release: turn.release });
      });
      await settle();
      return kind;
    },
    async end(index: number): Promise<void> {
      const [job] = running.splice(index % running.length, 1);
      job?.release();
      await settle();
    },
    async endAll(): Promise<void> {
      while (running.length > 0) await this.end(0);
    },
    pass(ms: number) {
      nowMs += ms;
      for (const sleeper of sleepers.splice(0)) {
        if (sleeper.untilMs <= nowMs) sleeper.wake();
        else sleepers.push(sleeper);
      }
    },
    /** Answers of a host, so many that they allow it all that its share allows. */
    async prove(host: string): Promise<void> {
      for (let n = 0; n < slots; n += 1) {
        await this.take(host);
        await this.end(running.findIndex((job) => job.host === host));
      }
      jobs = 0;
      admitted.length = 0;
    },
    /** The same in small steps, with all that they bring about. */
    async live(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 50) {
        this.pass(Math.min(left, 50));
        await settle();
      }
    },
  };
}

/** A time that never comes. */
const never = () => new Promise<void>(() => {});
const times = async (count: number, act: () => Promise<unknown>) => {
  for (let n = 0; n < count; n += 1) await act();
};
/** Takes until the host is told to wait or to come later. */
async function fill(worker: ReturnType<typeof startWorker>, host: string): Promise<number> {
  while ((await worker.take(host)) === 'go') {}
  return worker.of(host);
}

describe('the share of a host', () => {
  test('is three quarters when it is alone', async () => {
    const worker = startWorker(100);
    await worker.prove('a');
    expect(await fill(worker, 'a')).toBe(75);
  });

  test('is a quarter until it has answered, and one more for each answer', async () => {
    const worker = startWorker(100);
    expect(await fill(worker, 'a')).toBe(25);
    for (let answers = 1; answers <= 50; answers += 1) {
      await worker.live(10);
      await worker.end(0);
      expect(await fill(worker, 'a')).toBe(25 + answers);
    }
    await worker.end(0);
    expect(await fill(worker, 'a')).toBe(75);
  });

  test('is half of what the others leave when it is not', async () => {
    const worker = startWorker(100);
    for (const host of ['b', 'c']) await worker.prove(host);
    await times(20, () => worker.take('a'));
    expect(await fill(worker, 'b')).toBe(40);
    expect(await fill(worker, 'c')).toBe(20);
  });

  test('is at least one', async () => {
    const worker = startWorker(4);
    for (const host of ['a', 'b', 'c', 'd']) expect(await worker.take(host)).toBe('go');
  });

  test('shrinks for a host that hangs until there is room for the others', async () => {
    const worker = startWorker(100);
    await worker.prove('hangs');
    await times(75, () => worker.take('hangs'));
    // A quarter is left, and half of it is b's; as the first ones of the other end, b gets more.
    expect(await fill(worker, 'b')).toBe(12);
    for (let n = 0; n < 50; n += 1) {
      await worker.end(worker.running.findIndex(({ host }) => host === 'hangs'));
      await worker.take('hangs');
      await worker.take('b');
    }
    expect(worker.of('hangs')).toBeLessThanOrEqual(44);
    expect(worker.of('b')).toBeGreaterThan(20);
  });

  test('grows again when the others have been quiet for a while', async () => {
    const worker = startWorker(100);
    await worker.prove('a');
    await worker.take('other');
    await worker.endAll();
    expect(await fill(worker, 'a')).toBe(50);
    worker.pass(2_001);
    await worker.take('a');
    await fill(worker, 'a');
    expect(worker.of('a')).toBe(75);
  });
});

describe('those that find no room', () => {
  test('wait in the order in which they came', async () => {
    const worker = startWorker(40);
    await worker.take('b');
    await times(40, () => worker.take('a'));
    const waiting = worker.waiting.map(({ n }) => n);
    expect(waiting).toHaveLength(4);
    const before = worker.admitted.length;
    while (worker.waiting.length > 0) await worker.end(0);
    expect(worker.admitted.slice(before, before + 4).map(({ n }) => n)).toEqual(waiting);
  });

  test('are not overtaken by one who comes when room has come of itself', async () => {
    const worker = startWorker(40);
    await worker.prove('a');
    await worker.take('b');
    await worker.endAll();
    await times(25, () => worker.take('a'));
    const [first] = worker.waiting;
    // b has been gone for long: a is alone, and has room for ten more.
    worker.pass(10_000);
    expect(await worker.take('a')).toBe('go');
    expect(first).toBeDefined();
    expect(worker.waiting).toEqual([]);
    expect(worker.of('a')).toBe(26);
  });

  test('wait when their turn comes within a quarter of a second, however many do; those of a host that hangs do not', async () => {
    const worker = startWorker(400);
    for (const host of ['a', 'b', 'hangs']) await worker.prove(host);
    // Fifty milliseconds each.
    for (let n = 0; n < 200; n += 1) {
      await worker.take('a');
      await worker.live(50);
      await worker.endAll();
    }
    await times(100, () => worker.take('hangs'));
    await times(100, () => worker.take('b'));
    const room = await fill(worker, 'a');
    const inAQuarterSecond = Math.floor((250 / 50) * room);
    await times(inAQuarterSecond - 10, () => worker.take('a'));
    expect(worker.sentAway).toEqual([]);
    await times(50, () => worker.take('a'));
    expect(worker.sentAway.length).toBeGreaterThan(30);
    expect(worker.waiting.length).toBeLessThanOrEqual(inAQuarterSecond + 1);
    worker.sentAway.length = 0;
    await worker.live(1_001);
    const left = worker.sentAway.length;
    await times(100, () => worker.take('hangs'));
    expect(worker.sentAway.length - left).toBeGreaterThan(50);
  });

  test('and no room to wait are told when to come, later the more there are', async () => {
    const worker = startWorker(40);
    await worker.take('b');
    await times(60, () => worker.take('a'));
    expect(worker.sentAway.length).toBeGreaterThan(30);
    expect(worker.sentAway).toEqual(worker.sentAway.toSorted((x, y) => x - y));
    expect(worker.sentAway.at(-1)).toBeGreaterThan(worker.sentAway[0] ?? 0);
  });

  test('are not told of a crowd that has long gone', async () => {
    const worker = startWorker(40);
    await worker.take('b');
    await times(20_000, () => worker.take('a'));
    const longest = Math.max(...worker.sentAway);
    expect(longest).toBeGreaterThan(60_000);
    worker.pass(longest + 1_000);
    await worker.take('b');
    worker.sentAway.length = 0;
    await times(30, () => worker.take('a'));
    expect(worker.sentAway[0]).toBeLessThan(longest / 2);
  });
});

describe('a host that is alone', () => {
  test('leaves room after a second of which nothing has come, though nobody else can ask for it', async () => {
    const worker = startWorker(40);
    await worker.prove('hangs');
    await times(40, () => worker.take('hangs'));
    expect([worker.running.length, worker.waiting.length]).toEqual([30, 10]);
    await worker.live(950);
    expect(worker.waiting).toHaveLength(10);
    await worker.live(300);
    // The first four keep their places; a tenth of the slots is theirs.
    expect(worker.waiting.map(({ n }) => n)).toEqual([31, 32, 33, 34]);
    expect(worker.sentAway).toHaveLength(6);
    // What is behind them in the queue goes through at once, until others come.
    for (let n = 0; n < 100; n += 1) expect(await worker.take('hangs')).toBe('later');
    for (let n = 0; n < 5; n += 1) expect(await worker.take('b')).toBe('go');
  });

  test('that has moved again has its jobs wait here again', async () => {
    const worker = startWorker(40);
    await worker.prove('a');
    await times(40, () => worker.take('a'));
    await worker.live(1_250);
    expect(worker.waiting).toHaveLength(4);
    await worker.end(0);
    await times(7, () => worker.take('a'));
    expect([worker.running.length, worker.waiting.length]).toEqual([30, 10]);
    expect(worker.sentAway).toHaveLength(6);
  });

  test('and quick has all of its share at work all the time, and nobody is sent away', async () => {
    const worker = startWorker(40);
    await worker.prove('quick');
    await times(40, () => worker.take('quick'));
    for (let n = 0; n < 2_000; n += 1) {
      if (n % 3 === 0) await worker.live(10);
      await worker.end(0);
      expect(await worker.take('quick')).toBe('waits');
      expect([worker.running.length, worker.waiting.length]).toEqual([30, 10]);
    }
    expect(worker.sentAway).toEqual([]);
  });

  test('and slow, one after the other in 300 ms, still has all of its share at work', async () => {
    const worker = startWorker(40);
    await worker.prove('slow');
    await times(40, () => worker.take('slow'));
    for (let n = 0; n < 100; n += 1) {
      await worker.live(300);
      await worker.end(0);
      for (let tries = 0; tries < 20 && worker.running.length + worker.waiting.length < 40; tries += 1) await worker.take('slow');
      expect(worker.running).toHaveLength(30);
    }
    // Two or three leave in that time; nothing else would make room for others.
    expect(worker.sentAway.length).toBeGreaterThan(100);
    expect(worker.sentAway.length).toBeLessThan(400);
  });

  test('is not taken for one that hangs because it had nothing to do for long', async () => {
    const worker = startWorker(40);
    await worker.prove('a');
    await worker.live(10_000);
    await times(40, () => worker.take('a'));
    expect([worker.running.length, worker.waiting.length]).toEqual([30, 10]);
  });
});

describe('a host that is slow', () => {
  /** Ten seconds for each, as it has turned out. */
  async function slow(slots: number): Promise<ReturnType<typeof startWorker>> {
    const worker = startWorker(slots);
    for (let n = 0; n < 40; n += 1) {
      await worker.take('slow');
      worker.pass(10_000);
      await worker.endAll();
    }
    await worker.take('b');
    return worker;
  }

  test('and has little to do is looked at again soon, however far away the turn', async () => {
    const worker = await slow(4);
    await times(200, () => worker.take('slow'));
    expect(worker.sentAway.length).toBeGreaterThan(190);
    expect(Math.max(...worker.sentAway)).toBeLessThanOrEqual(15_000);
  });

  test('and has very much to do is looked at some hundred times a second, not more', async () => {
    const worker = await slow(4);
    await times(50_000, () => worker.take('slow'));
    const perSecond = new Map<number, number>();
    for (const ms of worker.sentAway) perSecond.set(Math.floor(ms / 1000), (perSecond.get(Math.floor(ms / 1000)) ?? 0) + 1);
    // The first three thousand come back in the fifteenth second; what comes to them later spreads them again.
    const { [15]: first = 0, ...later } = Object.fromEntries(perSecond);
    expect(first).toBeLessThanOrEqual(3_200);
    expect(Math.max(...Object.values(later))).toBeLessThanOrEqual(201);
    expect(Math.max(...worker.sentAway)).toBeLessThanOrEqual(300_000);
  });

  test('fills its room as soon as it is quick again, though many have been told to wait', async () => {
    const worker = await slow(4);
    await times(50_000, () => worker.take('slow'));
    const soon = worker.sentAway.filter((ms) => ms >= 20_000 && ms < 21_000);
    expect(soon.length).toBeGreaterThan(150);
  });

  test('and has become quick lets those that come look at its own pace', async () => {
    const worker = await slow(40);
    await times(2_500, () => worker.take('slow'));
    for (let n = 0; n < 80; n += 1) {
      worker.pass(10);
      await worker.endAll();
      await worker.take('b');
      await worker.take('slow');
    }
    worker.sentAway.length = 0;
    await times(30_000, () => worker.take('slow'));
    // Two hundred a second would take them 150 s. Some nineteen at a time, 10 ms each, take 16 s.
    expect(Math.max(...worker.sentAway)).toBeLessThan(60_000);
  });
});

test('a turn that is released twice is counted once', async () => {
  const worker = startWorker(20);
  await worker.take('a');
  for (let n = 0; n < 10; n += 1) worker.running[0]?.release();
  worker.running.length = 0;
  await worker.prove('a');
  expect(await fill(worker, 'a')).toBe(15);
});

test('whatever comes and goes: nobody has more than the share, nobody starves, nothing is counted twice', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('take' as const), host: fc.integer({ min: 0, max: 6 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(1_000) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 5_000 }) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 300 }), async (slots, steps) => {
      const worker = startWorker(slots);
      const most = Math.max(1, Math.floor(slots * 0.75));
      for (const each of steps) {
        const room = worker.running.length + worker.waiting.length < slots;
        if (each.kind === 'pass') worker.pass(each.ms);
        else if (each.kind === 'end' && worker.running.length > 0) await worker.end(each.which);
        else if (each.kind === 'take' && room) {
          const host = `h${each.host}`;
          const beside = worker.running.length - worker.of(host);
          const kind = await worker.take(host);
          const share = beside > 0 ? Math.floor((slots - beside) / 2) : most;
          if (kind === 'go') expect(worker.of(host)).toBeLessThanOrEqual(Math.max(1, share));
          else expect(worker.of(host)).toBeGreaterThan(0);
        }
        expect(worker.running.length).toBeLessThanOrEqual(slots);
        for (const { host } of worker.running) expect(worker.of(host)).toBeLessThanOrEqual(most);
        // Who waits, waits for somebody of its own host: his end will admit it.
        for (const { host, n } of worker.waiting) {
          expect(worker.of(host)).toBeGreaterThan(0);
          expect(worker.admitted.some((job) => job.host === host && job.n > n)).toBe(false);
        }
      }
      for (const ms of worker.sentAway) expect(ms >= 1_000 && ms <= 15_000).toBe(true);
      await worker.endAll();
      expect(worker.waiting).toEqual([]);
      // All that was counted is counted back.
      worker.pass(60_000);
      await worker.prove('fresh');
      expect(await fill(worker, 'fresh')).toBe(most);
    }),
    { numRuns: 300 },
  );
});

test('hosts that have gone are forgotten, also when many of their jobs were sent away', async () => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('There is no garbage collector.');
  const kept = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  let nowMs = 0;
  const turns = createTurns({ slots: 4, elapsedMs: () => nowMs, sleep: never });
  await turns.take('always there');
  const before = kept();
  for (let n = 0; n < 10_000; n += 1) {
    const name = `${n}/`.padEnd(4_000, randomUUID());
    const turn = await turns.take(Buffer.from(name).toString());
    // The second one waits, and is admitted by the first one's end; the rest are sent away.
    const more = Array.from({ length: 6 }, () => turns.take(Buffer.from(name).toString()));
    if (turn.kind === 'go') turn.release();
    await Promise.all(more.map((each) => each.then((later) => later.kind === 'go' && later.release())));
    nowMs += 50;
  }
  nowMs += 60_000;
  await turns.take('last');
  expect((kept() - before) / 1e6).toBeLessThan(8);
});

test('a host whose job waits is not forgotten when its only other job has ended', async () => {
  let nowMs = 0;
  const turns = createTurns({ slots: 50, elapsedMs: () => nowMs, sleep: never });
  const hosts = Array.from({ length: 48 }, (_, n) => `host ${n}`);
  // Each has one job under way, and the first five have another one, for which there is no room.
  const first = await Promise.all(hosts.map((host) => turns.take(host)));
  expect(first.every(({ kind }) => kind === 'go')).toBe(true);
  const waiting = hosts.slice(0, 5).map((host) => turns.take(host));
  const done = waiting.map(async (turn) => {
    const granted = await turn;
    if (granted.kind === 'go') granted.release();
  });
  nowMs += 20_000;
  for (const turn of first.toReversed().slice(-5)) {
    if (turn.kind === 'go') turn.release();
    nowMs += 3_000;
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const turn of first.slice(5)) if (turn.kind === 'go') turn.release();
  const late = new Promise((resolve) => setTimeout(resolve, 500, 'somebody waits for ever'));
  expect(await Promise.race([Promise.all(done).then(() => 'all had their turn'), late])).toBe('all had their turn');
});
