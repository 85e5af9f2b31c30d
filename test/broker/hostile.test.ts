import { generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createHostHealth } from '../../src/broker/host-health.ts';
import { silentMeter } from '../../src/broker/meter.ts';
import { GrantryProblem } from '../../src/client/client.ts';
import { answer as answerOf, hostileAnswers, tokenAnswer } from '../../src/sandbox/hostile-answers.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import type { Whole } from './connected.ts';

/** What a token endpoint may answer, at the exchange and at the refresh: refused with a stable code or taken for exactly what it says. */

let world: Whole;
/** Answers that are taken: what they say is odd and still clear. */
const taken = ['expires_in zero', 'expires_in negative', 'expires_in 1e20', 'refresh_token empty'];
const wereTaken: string[] = [];
/** These take the door's whole deadline: their tests run at the same time. */
const slow = new Set(['never ending', 'one byte per second', 'headers and no body', 'no answer at all']);
const codes = [
  'bad_provider_answer',
  'no_answer',
  'provider_error',
  'provider_unavailable',
  'invalid_grant',
  'exchange_failed',
  'reauthorization_required',
  'provider_unreachable',
];

beforeAll(async () => {
  world = await startWholeSandbox();
  const { definition, client } = world.sandbox.providers.hostile;
  await world.root.call('PUT', '/v1/providers/sandbox-hostile', { body: definition });
  const { client_id, client_secret } = client;
  await world.root.call('POST', '/v1/integrations', {
    body: { id: 'machine', provider: 'sandbox-hostile', method: 'machine', client_id, client_secret },
  });
});
afterAll(() => world.stop());
// So many nonsensical answers of one host would open its breaker, and nothing more would be asked.
beforeEach(() => {
  world.broker.world.hosts = createHostHealth({ elapsedMs: () => performance.now(), random: () => 0, meter: silentMeter });
});

const hostile = () => world.sandbox.providers.hostile;
const create = () =>
  world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'machine', end_user: { id: 'u1' }, grant: 'client_credentials' },
  });
const dump = async () => {
  const tables = await world.sql<{ table_name: string }>(`select table_name from information_schema.tables where table_schema = 'public'`);
  const rows = await Promise.all(tables.map(({ table_name }) => world.sql(`select t::text as row from ${table_name} t`)));
  return JSON.stringify(rows);
};

const quick = Object.entries(hostileAnswers).filter(([name]) => !slow.has(name));

test.each(quick)('%s', { concurrent: false }, async (name, answer) => {
  hostile().answerWith(answer);
  const connections = async () => Number((await world.sql('select count(*) from connections'))[0]?.count);
  const before = await connections();
  const outcome = await create().then(
    ({ id }) => id,
    (error: unknown) => error,
  );
  if (outcome instanceof GrantryProblem) {
    expect(codes).toContain(outcome.code);
    expect(outcome.status).toBeLessThan(504);
    expect(outcome.status).not.toBe(500);
    expect(JSON.stringify(outcome.problem)).not.toMatch(/at-1|html|polluted|DOCTYPE/i);
    expect(await connections()).toBe(before);
  } else {
    expect(typeof outcome).toBe('string');
    const token = await world.root.getToken(String(outcome));
    expect(token.access_token).toBe('at-1');
    wereTaken.push(name);
  }

  hostile().answerWith(tokenAnswer({ access_token: 'good-token', expires_in: 3600 }));
  const { id } = await create();
  await world.sql(`update connections set issued_at = now() - interval '59 minutes', expires_at = now() + interval '30 seconds' where id = $1`, [id]);
  hostile().answerWith(answer);
  const held = (await world.root.getToken(id).catch((error: GrantryProblem) => error.code)) ?? '';
  // Its own invalid_grant is the one answer that ends a connection whose token still lives.
  if (name === 'error with 200') return expect(held).toBe('reauthorization_required');
  const { access_token } = typeof held === 'string' ? { access_token: held } : held;
  expect(['good-token', 'at-1']).toContain(access_token);
  const [row] = await world
    .sql<{ token_version: number; status: string; last_error: { code: string } | null }>(
      'select token_version, status, last_error from connections where id = $1',
      [id],
    )
    .catch(() => []);
  expect(row?.token_version).toBe(access_token === 'at-1' ? 2 : 1);
  if (access_token === 'good-token') expect(codes).toContain(row?.last_error?.code);
});

test('only these are taken for an answer', () => expect(wereTaken.sort()).toEqual([...taken].sort()));

test('afterwards the process lives, nothing is polluted, and neither database nor log nor events hold a body', async () => {
  expect({}).not.toHaveProperty('polluted');
  const events = JSON.stringify(await world.root.call('GET', '/v1/events', { query: { limit: 200 } }));
  for (const place of [await dump(), world.logged.join(''), events]) {
    for (const secret of ['at-1', 'good-token', 'Internal Server Error', 'X-Injected', 'hostile-secret'])
      expect(place.includes(secret) ? `found ${secret}` : 'clean').toBe('clean');
  }
  hostile().answerWith(tokenAnswer({}));
  expect(await create()).toMatchObject({ status: 'active' });
});

describe('an answer that is right but for one thing', () => {
  const good = { access_token: 'at-1', token_type: 'Bearer' };
  const ofLength = (bytes: number) => JSON.stringify({ ...good, more: 'x'.repeat(bytes - JSON.stringify({ ...good, more: '' }).length) });

  test.each([
    ['64 KiB', answerOf(200, ofLength(65_536))],
    ['status 201', answerOf(201, JSON.stringify(good))],
  ])('is taken: %s', async (_, answer) => {
    hostile().answerWith(answer);
    expect((await world.root.getToken((await create()).id)).access_token).toBe('at-1');
  });

  test.each([{ status: 200, bytes: 65_537 }, ...[204, 206, 300, 301, 302, 303, 304, 307, 308].map((status) => ({ status, bytes: 100 }))])(
    'is refused after one request: status $status, $bytes bytes',
    async ({ status, bytes }) => {
      hostile().answerWith(answerOf(status, ofLength(bytes), { location: `${hostile().url}/token` }));
      const before = hostile().counters.token_requests;
      await expect(create()).rejects.toMatchObject({ code: 'bad_provider_answer' });
      expect(hostile().counters.token_requests).toBe(before + 1);
    },
  );
});

describe('an id_token', () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: 'https://accounts.example',
    sub: 'victim',
    aud: 'sandbox-hostile-app',
    email: 'victim@example.org',
    exp: 9_999_999_999,
    nonce: 'n',
  };
  const signed = (header: object, payload: object) => {
    const text = `${part(header)}.${part(payload)}`;
    return `${text}.${sign('sha256', Buffer.from(text), generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).toString('base64url')}`;
  };
  const forged: [string, unknown][] = [
    ['that nobody signed', `${part({ alg: 'none' })}.${part(claims)}.`],
    ['with a key of its own', signed({ alg: 'ES256', kid: 'known' }, claims)],
    ['for somebody else', signed({ alg: 'ES256' }, { ...claims, aud: 'another-app' })],
    ['that is none', { sub: 'victim' }],
  ];
  const plain = { access_token: 'at-1', token_type: 'Bearer', scope: 'read' };

  /** A connection as the API shows it and as it hands out its token, but for what is new each time. */
  async function connectionWith(members: object): Promise<object[]> {
    hostile().answerWith(tokenAnswer({ ...plain, ...members }));
    const { id } = await create();
    const { created_at, updated_at, ...shown } = await world.root.call<Record<string, unknown>>('GET', `/v1/connections/${id}`);
    return [shown, await world.root.getToken(id)].map((each) =>
      JSON.parse(
        JSON.stringify(each)
          .replaceAll(id, 'id')
          .replace(/"\d{4}-[^"]*Z"/g, '"then"'),
      ),
    );
  }

  test.each(forged)('%s is not read: nothing of it is an identity, an extra or an account', async (_, id_token) => {
    const [shown, token] = await connectionWith({ id_token });
    expect([shown, token]).toEqual(await connectionWith({}));
    // The account is what the API says to the token.
    expect(shown).toMatchObject({ account: 'nobody', extras: {} });
    expect(await dump()).not.toMatch(/victim|id_token/);
  });

  test('cannot be kept by a definition either', async () => {
    const definition = JSON.parse(hostile().definition);
    definition.methods.machine.response = { keep: { identity: '/id_token' } };
    await expect(world.root.call('PUT', '/v1/providers/sandbox-hostile', { body: definition })).rejects.toMatchObject({
      code: 'invalid_definition',
      problem: { errors: [{ pointer: '/methods/machine/response/keep/identity' }] },
    });
  });
});

describe('an answer without an end', () => {
  test.concurrent.each([...slow])('%s', async (name) => {
    const answer = hostileAnswers[name];
    if (answer === undefined) throw new Error('gone');
    hostile().answerWith(answer);
    await expect(create()).rejects.toMatchObject({ status: expect.any(Number), code: expect.stringMatching(/^(no_answer|bad_provider_answer)$/) });
  });
});

test('a token that is born at its end is handed out, and refreshed at most twice a minute', async () => {
  hostile().answerWith(tokenAnswer({ expires_in: 0 }));
  const { id } = await create();
  const before = hostile().counters.token_requests;
  for (let call = 0; call < 5; call += 1) expect((await world.root.getToken(id)).access_token).toBe('at-1');
  expect(hostile().counters.token_requests).toBe(before);
  await world.sql(`update connections set issued_at = now() - interval '31 seconds', expires_at = now() - interval '31 seconds' where id = $1`, [id]);
  for (let call = 0; call < 5; call += 1) await world.root.getToken(id);
  expect(hostile().counters.token_requests).toBe(before + 1);
  const [row] = await world.sql<{ due: number }>('select extract(epoch from refresh_due_at - now())::float8 as due from connections where id = $1', [
    id,
  ]);
  expect(row?.due).toBeGreaterThan(20);
});

test('a token that lives for a second is renewed when it has ended and is asked for, and by itself no more than twice a minute', async () => {
  hostile().answerWith(tokenAnswer({ expires_in: 1 }));
  const { id } = await create();
  const aged = (s: number) =>
    world.sql(
      `update connections set issued_at = now() - $2::float8 * interval '1 second', expires_at = now() + (1 - $2::float8) * interval '1 second' where id = $1`,
      [id, s],
    );
  const [row] = await world.sql<{ due: number }>(
    'select extract(epoch from refresh_due_at - issued_at)::float8 as due from connections where id = $1',
    [id],
  );
  expect(row?.due).toBe(30);
  const before = hostile().counters.token_requests;
  await aged(1.1);
  expect((await world.root.getToken(id)).access_token).toBe('at-1');
  expect(hostile().counters.token_requests).toBe(before + 1);
});

test('a token whose whole life is shorter than the caller wishes is handed out while it lives, and renewed after 30 s at the earliest', async () => {
  hostile().answerWith(tokenAnswer({ expires_in: 200 }));
  const { id } = await create();
  const aged = (s: number) =>
    world.sql(
      `update connections set issued_at = now() - $2::int * interval '1 second', expires_at = now() + (200 - $2::int) * interval '1 second' where id = $1`,
      [id, s],
    );
  const wish = () => world.root.getToken(id, { minTtlS: 300 });
  const before = hostile().counters.token_requests;
  await aged(25);
  for (let call = 0; call < 5; call += 1) await wish();
  expect(hostile().counters.token_requests).toBe(before);
  await aged(31);
  for (let call = 0; call < 5; call += 1) await wish();
  expect(hostile().counters.token_requests).toBe(before + 1);
});
