import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWholeSandbox } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

/** This machine's wall clock is put right by an hour while a provider answers: no end of a token moves. */

let world: Whole;
let aheadMs = 0;

beforeAll(async () => {
  world = await startWholeSandbox({
    adapt: (real) => ({
      ...real,
      now: () => new Date(Date.now() + aheadMs),
      door: async (request) => {
        const answer = await real.door(request);
        aheadMs += 3_600_000;
        return answer;
      },
    }),
  });
  await withAuthorizationServer(world);
  world.sandbox.providers.authorizationServer.switches.accessTokenTtlS = 7_200;
});
afterAll(() => world.stop());

/** As Postgres counts. */
async function timesOf(id: string) {
  const [row] = await world.sql<{ age: number; lives: number }>(
    `select extract(epoch from now() - issued_at)::float8 as age, extract(epoch from expires_at - issued_at)::float8 as lives from connections where id = $1`,
    [id],
  );
  return row;
}
/** Nothing here takes half an hour. */
const young = { age: expect.toSatisfy((s: number) => s >= 0 && s < 1_800), lives: 7_200 };

test('of a link, and of a refresh', async () => {
  const id = await connect(world);
  expect(aheadMs).toBeGreaterThan(0);
  expect(await timesOf(id)).toEqual(young);
  const before = aheadMs;
  await world.root.getToken(id, { force: true });
  expect(aheadMs).toBeGreaterThan(before);
  expect(await timesOf(id)).toEqual(young);
});

test('of a token that the broker asks for itself', async () => {
  const body = { integration: 'as', end_user: { id: 'machine' }, grant: 'client_credentials' };
  const before = aheadMs;
  const { id } = await world.root.call<{ id: string }>('POST', '/v1/connections', { body });
  expect(aheadMs).toBeGreaterThan(before);
  expect(await timesOf(id)).toEqual(young);
});
