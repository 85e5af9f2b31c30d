import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestStep } from '../../src/broker/records.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { problemOf } from '../harness/broker.ts';
import { type Scene, startScene } from './scene.ts';

/** Tests of integrations: the admin goes through a flow herself and reads what was sent, what came back and what was understood. */

type Step = TestStep & { at: string };
type Trace = { status: string; outcome: string; error: { code: string; detail: string } | null; next: string | null; steps: Step[] };
type NewTest = { id: string; url: string; trace: string; purpose: string; status: string };

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as, keyService, phonegap } = scene.providers;
  await scene.define(as.definition);
  await scene.define(keyService.definition);
  await scene.define(phonegap.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  await scene.integrate(as, { id: 'wrong', provider: 'sandbox-as', client_secret: 'not-the-secret-of-this-client' });
  await scene.integrate(as, { id: 'machine', provider: 'sandbox-as', method: 'machine' });
  await scene.integrate(keyService, { id: 'key', provider: 'sandbox-keys', client_id: undefined, client_secret: undefined });
  await scene.integrate(keyService, { id: 'basic', provider: 'sandbox-keys', method: 'basic', client_id: undefined, client_secret: undefined });
  const definition = JSON.parse(as.definition);
  const { web } = definition.methods;
  await scene.define(
    JSON.stringify({ ...definition, id: 'pointing', methods: { web: { ...web, response: { access_token: '/data/access_token' } } } }),
  );
  await scene.integrate(as, { id: 'pointing', provider: 'pointing' });
});
afterAll(() => scene?.stop());

const make = (integration: string, body: Record<string, unknown> = {}) =>
  scene.root.call<NewTest>('POST', `/v1/integrations/${integration}/test`, { body });
const read = ({ trace }: NewTest) => scene.root.call<Trace>('GET', trace);
const shape = ({ steps }: Trace) => steps.map(({ step, outcome }) => `${step} ${outcome}`);
const events = (link: string) => scene.sql('select type from events where link_id = $1', [link]);
const stepOf = ({ steps }: Trace, name: string) => steps.findLast(({ step }) => step === name);

async function walk(made: NewTest, button = 'Approve') {
  const page = await createBrowser().open(made.url);
  expect(page.text).toContain('This is a test of the integration');
  const consent = await page.submit();
  return consent.submit({ user: 'ada' }, button);
}

test('a flow that works: every step, and nothing that stays', async () => {
  const { counters } = scene.providers.authorizationServer;
  const before = { revocations: counters.revocations, connections: (await scene.connections()).length };
  const made = await make('as', { scopes: ['read', 'write', 'offline_access'] });
  expect(made).toMatchObject({ purpose: 'test', status: 'pending', trace: `/v1/integrations/as/tests/${made.id}` });
  expect(await read(made)).toMatchObject({ outcome: 'waiting', next: 'Open the URL of the test in a browser.', steps: [] });
  scene.providers.authorizationServer.switches.withheldScopes = ['write'];
  const done = await walk(made);
  scene.providers.authorizationServer.switches.withheldScopes = [];
  expect([done.status, done.title]).toEqual([200, 'The test of as passed']);

  const trace = await read(made);
  expect(shape(trace)).toEqual([
    'page ok',
    'authorization ok',
    'callback ok',
    'token ok',
    'understood ok',
    'probe ok',
    'probe ok',
    'refresh ok',
    'refresh ok',
    'presentation ok',
    'revocation ok',
    'revocation ok',
    'revocation ok',
  ]);
  expect(trace).toMatchObject({ status: 'connected', outcome: 'passed', error: null, next: null });
  const sent = new URL(stepOf(trace, 'authorization')?.request?.url ?? '');
  expect(sent.pathname).toBe('/auth');
  expect(Object.fromEntries(sent.searchParams)).toMatchObject({
    client_id: 'sandbox-client',
    scope: 'read write offline_access',
    state: '<state: 43 characters>',
    code_challenge_method: 'S256',
  });
  expect(stepOf(trace, 'callback')?.checks?.map(({ check }) => check)).toEqual(
    'state browser redirect_uri registration issuer signature refusal code inputs replay'.split(' '),
  );
  expect(stepOf(trace, 'token')).toMatchObject({
    request: {
      method: 'POST',
      headers: { authorization: expect.stringMatching(/^Basic <base64 of name and secret: \d+ characters>$/) },
      body: expect.stringMatching(
        /grant_type=authorization_code.*code=<code: \d+ characters>|code=<code: \d+ characters>.*grant_type=authorization_code/,
      ),
    },
    answer: { status: 200, body: { written: 'json', more: false } },
  });
  expect(stepOf(trace, 'token')?.answer?.body.members).toEqual(
    expect.arrayContaining([
      { at: '/access_token', type: 'text', length: expect.any(Number), value: null },
      { at: '/expires_in', type: 'number', length: null, value: '60' },
      { at: '/token_type', type: 'text', length: 6, value: 'Bearer' },
    ]),
  );
  expect(stepOf(trace, 'understood')?.understood).toEqual({
    token_type: 'bearer',
    expires_in: 60,
    refresh_token: true,
    refresh_expires_in: null,
    refreshable: true,
    scopes: ['read', 'offline_access'],
    missing_scopes: ['write'],
    extras: {},
  });
  expect(stepOf(trace, 'presentation')?.request?.headers).toEqual({
    Authorization: expect.stringMatching(/^Bearer <access_token: \d+ characters>$/),
  });

  expect(counters.revocations).toBe(before.revocations + 2);
  expect((await scene.connections()).length).toBe(before.connections);
  expect(await events(made.id)).toEqual([]);
  expect(await scene.row(made)).toMatchObject({ pending_sealed: null, answer_sealed: null, inputs_sealed: null, connection_id: null });
});

test('a provider that ended the access token with the refresh token, and says so with an error: the test has passed', async () => {
  const { counters, switches } = scene.providers.authorizationServer;
  const before = counters.revocations;
  const refusal = { kind: 'refuse', error: 'unsupported_token_type', status: 400 } as const;
  const made = await make('as');
  Object.defineProperty(switches, 'revocationFault', {
    configurable: true,
    get: () => (counters.revocations > before ? refusal : { kind: 'none' }),
    set: () => {},
  });
  await walk(made).finally(() => Object.defineProperty(switches, 'revocationFault', { value: { kind: 'none' }, writable: true, enumerable: true }));
  const trace = await read(made);
  expect(trace).toMatchObject({ outcome: 'passed', error: null });
  expect(trace.steps.filter(({ step }) => step === 'revocation').map(({ answer }) => answer?.status)).toContain(400);
});

test('declined at the provider', async () => {
  const made = await make('as');
  const done = await walk(made, 'Deny');
  expect(done.title).toBe('The test of as failed');
  const trace = await read(made);
  expect(trace).toMatchObject({ outcome: 'failed', error: { code: 'access_denied' } });
  expect(stepOf(trace, 'callback')).toMatchObject({ outcome: 'failed', look: expect.stringContaining('Access was declined at the provider') });
  expect(stepOf(trace, 'callback')?.parameters).toContainEqual({ name: 'error', value: 'access_denied' });
  expect(await events(made.id)).toEqual([]);
});

test('a wrong client secret is said so, and nothing else stops for it', async () => {
  const made = await make('wrong');
  await walk(made);
  const trace = await read(made);
  expect(shape(trace)).toEqual(['page ok', 'authorization ok', 'callback ok', 'token failed', 'understood failed']);
  expect(stepOf(trace, 'understood')?.look).toMatch(/^The provider answered invalid_client\. Compare the client id and the client secret/);
  expect(await scene.root.call('GET', '/v1/integrations/wrong')).toMatchObject({ status: 'active' });
  expect(await scene.sql(`select type from events where integration_id = 'wrong'`)).toEqual([]);
});

test('a pointer that points beside the token is said with the members that are there', async () => {
  const made = await make('pointing');
  await walk(made);
  const look = stepOf(await read(made), 'understood')?.look;
  expect(look).toMatch(/^The answer has no \/data\/access_token \(response\.access_token\); it has these members: \/access_token, \/expires_in/);
});

test('a callback in another browser', async () => {
  const made = await make('as');
  const browser = createBrowser();
  const callback = await scene.approve(await scene.begin(made, browser), browser);
  expect(await read(made)).toMatchObject({ outcome: 'waiting', next: expect.stringContaining('Nothing has come back yet') });
  await scene.visit(callback, createBrowser());
  const trace = await read(made);
  expect(stepOf(trace, 'callback')).toMatchObject({ outcome: 'failed', look: expect.stringContaining('in one browser') });
  expect(stepOf(trace, 'callback')?.checks).toEqual([
    { check: 'state', outcome: 'ok' },
    { check: 'browser', outcome: 'failed' },
  ]);
});

test('without a provider page: client credentials, an API key, a user name and password', async () => {
  const machine = await make('machine');
  await (await createBrowser().open(machine.url)).submit();
  expect(shape(await read(machine))).toEqual(
    expect.arrayContaining(['page ok', 'token ok', 'understood ok', 'probe ok', 'refresh ok', 'presentation ok', 'revocation ok']),
  );
  const { keyService } = scene.providers;
  const key = await make('key');
  const value = keyService.issueKey('ada');
  await (await createBrowser().open(key.url)).submit({ api_key: value });
  const keyTrace = await read(key);
  expect(shape(keyTrace)).toEqual(['page ok', 'understood ok', 'probe ok', 'probe ok', 'refresh skipped', 'presentation ok', 'revocation skipped']);
  expect(stepOf(keyTrace, 'presentation')?.request?.headers).toEqual({ 'X-Api-Key': expect.stringMatching(/^<api_key: \d+ characters>$/) });
  const basic = await make('basic');
  const refused = await (await createBrowser().open(basic.url)).submit({ username: 'ada', password: 'not-the-password' });
  expect(refused.title).toBe('The test of basic failed');
  const basicTrace = await read(basic);
  expect(basicTrace.outcome).toBe('failed');
  expect(stepOf(basicTrace, 'probe')?.look).toContain('does not take the credential');
  expect(JSON.stringify([keyTrace, basicTrace])).not.toContain(value);
  expect((await scene.connections()).length).toBe(0);
});

test('who may test, and what is no test', async () => {
  const connect = await scene.clientWith(['connect', 'tokens']);
  expect((await problemOf(connect.call('POST', '/v1/integrations/as/test', { body: {} }))).code).toBe('forbidden');
  expect((await problemOf(make('nothing'))).code).toBe('not_found');
  const made = await make('as');
  const link = await scene.linkTo('as');
  for (const path of [`as/tests/${link.id}`, `wrong/tests/${made.id}`, 'as/tests/lnk_nothing'])
    expect((await problemOf(scene.root.call('GET', `/v1/integrations/${path}`))).code).toBe('not_found');
  expect((await problemOf(make('key', { inputs: { api_key: 'short' } }))).code).toBe('invalid_request');
});

test('steps are swept after a day, and a test has no end of them', async () => {
  const made = await make('as');
  const step: TestStep = { step: 'page', outcome: 'ok', what: 'x' };
  for (let n = 0; n < 101; n += 1) await scene.broker.world.store.tests.add(made.id, step);
  expect((await read(made)).steps.length).toBe(100);
  await scene.sql(`update test_steps set created_at = now() - interval '25 hours' where link_id = $1`, [made.id]);
  const long = new Date(0);
  await scene.broker.world.store.housekeeping.sweep({ eventsBefore: long, deliveriesBefore: long });
  expect((await read(made)).steps).toEqual([]);
});
