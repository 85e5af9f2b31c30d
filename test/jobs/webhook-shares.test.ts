import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Jobs, startJobs } from '../../src/jobs/start.ts';
import { createDoor } from '../../src/outside/http.ts';
import { serveHttp } from '../outside/local-servers.ts';
import { type Place, redisPlace } from './backends.ts';
import { patience, type Renewals, startRenewals } from './renewals.ts';

/** Receivers that never answer have their share of a worker, whatever waits for them, and the others have theirs. */

let broker: Renewals;
let redis: Place;
let jobs: Jobs | undefined;
const toClose: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  broker = await startRenewals();
  redis = await redisPlace(5);
});
afterEach(async () => {
  await jobs?.stop();
  jobs = undefined;
  for (const thing of toClose.splice(0)) await thing.close();
  await broker.sql('delete from webhook_endpoints');
  await redis.wipe();
});
afterAll(async () => {
  await redis.leave();
  await broker.stop();
});

const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
  toClose.push(thing);
  return thing;
};
const names = async () => [{ address: '127.0.0.1', family: 4 }];
const registered = { event_types: ['connection.created'] };
const register = (url: string) => broker.root.call('POST', '/v1/webhook-endpoints', { body: { ...registered, url } });
const happen = (count: number) => Promise.all(Array.from({ length: count }, () => broker.connect('web')));

test.each([
  { hosts: 1, endpoints: 10 },
  { hosts: 3, endpoints: 4 },
  { hosts: 6, endpoints: 2 },
])(
  '$hosts hosts with $endpoints endpoints each, which never answer, do not hold up another one until they had all of theirs',
  async ({ hosts, endpoints }) => {
    let stuck = 0;
    let heard = 0;
    const hanging = keep(
      await serveHttp(() => {
        stuck += 1;
      }),
    );
    const well = keep(
      await serveHttp((_, response) => {
        heard += 1;
        response.end();
      }),
    );
    for (let host = 0; host < hosts; host += 1) {
      for (let endpoint = 0; endpoint < endpoints; endpoint += 1) await register(`http://hanging${host}.example.org:${hanging.port}/${endpoint}`);
    }
    await happen(50);
    const door = keep(createDoor({ allowPrivateHosts: true, deadlineMs: 2_000, resolve: names }));
    const world = { ...broker.broker.world, door: door.send };
    jobs = await startJobs({ world, databaseUrl: broker.database.url, redisUrl: redis.backend.url, sweepEveryMs: 200 });
    await vi.waitUntil(() => stuck >= 30, patience);
    // These come to the queue behind all the others.
    await register(`http://well.example.org:${well.port}/`);
    await happen(5);
    await vi.waitUntil(() => heard === 5, { ...patience, timeout: 50_000 });
    expect(stuck).toBeLessThan((hosts * endpoints * 50) / 2);
  },
  60_000,
);
