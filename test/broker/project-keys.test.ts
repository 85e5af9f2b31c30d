import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refreshDue } from '../../src/broker/refresh.ts';
import { createGrantryClient, type GrantryClient } from '../../src/client/client.ts';
import { generateKeyRing } from '../../src/outside/key-ring.ts';
import { type SandboxKms, startKms } from '../../src/sandbox/kms.ts';
import { problemOf, startTestBroker, startWholeSandbox, type TestBroker } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

/** A broker two of whose projects bring their own master keys: `ringed` a ring, `served` a service. `plain` brings none. */

const keys = generateKeyRing();
const ring: { keys: { kid: string; k: string }[] } = JSON.parse(generateKeyRing());
const projects = ['plain', 'ringed', 'served'] as const;
type Project = (typeof projects)[number];

let kms: SandboxKms;
let dir: string;
let whole: Whole;
let env: Record<string, string>;
let ids: Record<Project, string>;

const clientOf = (on: TestBroker, project: string): GrantryClient => createGrantryClient({ baseUrl: on.url, apiKey: on.broker.rootKey, project });
const wrappedOf = async (project: Project) =>
  (await whole.sql<{ wrapped: string; wrapped_by: string }>('select wrapped, wrapped_by from data_keys where project_id = $1', [project]))[0];
const served = () => ({ service: { url: kms.url, token_file: 'token', allow_private_host: true } });
async function write(file: unknown): Promise<void> {
  await writeFile(env.GRANTRY_PROJECT_KEYS_FILE ?? '', JSON.stringify(file), { mode: 0o600 });
}
/** Another process, with nothing in its memory, on the same database. */
async function restarted<T>(work: (broker: TestBroker) => Promise<T>): Promise<T> {
  const broker = await startTestBroker({ database: whole.database, env: { ...env, GRANTRY_ROOT_KEY: whole.broker.rootKey } });
  return work(broker).finally(broker.stop);
}
const tokenOf = (on: TestBroker, project: Project) => clientOf(on, project).getToken(ids[project]);

type Check = { check: string; outcome: string; what: string; advice?: string };
const checksOf = async (on: TestBroker) =>
  (await on.root.call<{ checks: Check[] }>('GET', '/v1/diagnostics')).checks.filter(({ check }) => check === 'project_keys');

beforeAll(async () => {
  kms = await startKms();
  dir = await mkdtemp(join(tmpdir(), 'grantry-test-'));
  await writeFile(join(dir, 'token'), kms.token, { mode: 0o600 });
  env = { GRANTRY_KEYS: keys, GRANTRY_PROJECT_KEYS_FILE: join(dir, 'projects.json') };
  await write({ ringed: ring, served: served() });
  whole = await startWholeSandbox({ env });
  whole.sandbox.providers.authorizationServer.switches.accessTokenTtlS = 3_600;
  const connected: [Project, string][] = [];
  for (const project of projects) {
    await whole.root.call('POST', '/v1/projects', { body: { id: project, name: project } });
    const on: Whole = { ...whole, root: clientOf(whole, project) };
    await withAuthorizationServer(on);
    connected.push([project, await connect(on)]);
  }
  ids = { plain: '', ringed: '', served: '', ...Object.fromEntries(connected) };
});
afterAll(async () => {
  await whole?.stop();
  await kms?.stop();
  await rm(dir, { recursive: true });
});

test('connects, hands out tokens and refreshes as any other; each data key is wrapped by the key of its project alone', async () => {
  const asked = { ...kms.counters };
  for (const project of projects) {
    const { access_token } = await tokenOf(whole, project);
    const renewed = await clientOf(whole, project).getToken(ids[project], { force: true });
    expect(renewed.access_token).not.toBe(access_token);
    expect((await tokenOf(whole, project)).access_token).toBe(renewed.access_token);
  }
  // What is in memory asks nobody.
  expect(kms.counters).toEqual(asked);
  expect((await wrappedOf('plain'))?.wrapped).toMatch(/^eyJ/);
  expect(await wrappedOf('ringed')).toMatchObject({
    wrapped: expect.stringMatching(/^own:ringed:eyJ/),
    wrapped_by: `${ring.keys[0]?.kid} of ringed`,
  });
  expect(await wrappedOf('served')).toMatchObject({ wrapped: expect.stringMatching(/^own:served:kms:/) });
});

test('a service that is away concerns its own project alone: the broker starts, and serves the others', async () => {
  kms.switches.fault = { kind: 'down' };
  await restarted(async (broker) => {
    expect(await checksOf(broker)).toEqual([
      { check: 'project_keys', outcome: 'ok', what: 'The master key of the project ringed works.' },
      {
        check: 'project_keys',
        outcome: 'failed',
        what: expect.stringMatching(/^The master key of the project served does not work: The key service .* answers with 503\.$/),
        advice: expect.stringMatching(/all other projects/),
      },
    ]);
    expect(await problemOf(tokenOf(broker, 'served'))).toMatchObject({
      status: 503,
      code: 'unavailable',
      retryAfterS: 5,
      message: expect.stringMatching(/key service of the project served/),
    });
    for (const project of ['plain', 'ringed'] as const) {
      expect((await clientOf(broker, project).getToken(ids[project], { force: true })).access_token).toEqual(expect.any(String));
    }
    kms.switches.fault = { kind: 'none' };
    expect((await checksOf(broker)).map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
    expect((await tokenOf(broker, 'served')).access_token).toEqual(expect.any(String));
    const log = broker.logged.join('');
    expect(log).toMatch(/"project":"served".*the key service could not be used/);
    for (const secret of [kms.token, ring.keys[0]?.k ?? '']) expect(log).not.toContain(secret);
  });
});

test('a job whose project’s service hangs leaves its slot, and is due again later', async () => {
  const { served: id } = ids;
  const [due] = await whole.sql<{ connection_id: string; token_version: number }>(
    `update connections set refresh_due_at = now() - interval '1 second' where id = $1 returning id as connection_id, token_version`,
    [id],
  );
  if (due === undefined) throw new Error('no connection');
  let turns = 0;
  const takeTurn = async () => {
    turns += 1;
    return { kind: 'go' as const, release() {} };
  };
  const isDue = async () => (await whole.sql('select 1 from connections where id = $1 and refresh_due_at <= now()', [id])).length === 1;
  kms.switches.fault = { kind: 'slow', ms: 600_000 };
  await restarted(async ({ broker: { world } }) => {
    expect(await refreshDue(world, due, takeTurn)).toBeGreaterThanOrEqual(5_000);
    expect([turns, await isDue()]).toEqual([0, false]);
  });
  kms.switches.fault = { kind: 'none' };
  await whole.sql(`update connections set refresh_due_at = now() - interval '1 second' where id = $1`, [id]);
  await restarted(async ({ broker: { world } }) => {
    expect(await refreshDue(world, due, takeTurn)).toBeUndefined();
    expect([turns, await isDue()]).toEqual([1, false]);
  });
});

test('a job whose connection is sealed with a former data key, which the service cannot unwrap now, is no failed one either: it is due again later', async () => {
  const { served: id } = ids;
  const state = async () =>
    (
      await whole.sql<{ due: boolean; failure_count: number }>(
        'select refresh_due_at <= now() as due, failure_count from connections where id = $1',
        [id],
      )
    )[0];
  const [due] = await whole.sql<{ connection_id: string; token_version: number }>(
    `update connections set refresh_due_at = now() - interval '1 second' where id = $1 returning id as connection_id, token_version`,
    [id],
  );
  if (due === undefined) throw new Error('no connection');
  await whole.sql(`update data_keys set retired_at = now() where project_id = 'served'`);
  const takeTurn = async () => ({ kind: 'go' as const, release() {} });
  await restarted(async ({ broker: { world } }) => {
    await world.seal.ready('served');
    kms.switches.fault = { kind: 'down' };
    expect(await refreshDue(world, due, takeTurn)).toBeGreaterThanOrEqual(5_000);
    expect(await state()).toEqual({ due: false, failure_count: 0 });
    kms.switches.fault = { kind: 'none' };
    await whole.sql(`update connections set refresh_due_at = now() - interval '1 second' where id = $1`, [id]);
    expect(await refreshDue(world, due, takeTurn)).toBeUndefined();
    expect(await state()).toEqual({ due: false, failure_count: 0 });
  });
});

test('a start is refused with another ring, or a file with a fault; and not for a project whose key was taken out', async () => {
  const none = async () => {};
  await write({ ringed: JSON.parse(generateKeyRing()), served: served() });
  await expect(restarted(none)).rejects.toMatchObject({ code: 'integrity_error', message: expect.stringMatching(/project ringed/) });
  await write({ ringed: ring, served: { service: { url: kms.url } } });
  await expect(restarted(none)).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining('GRANTRY_PROJECT_KEYS_FILE') });
  await write({ ringed: { keys_file: 'absent.json' }, served: served() });
  await expect(restarted(none)).rejects.toThrow(/absent\.json of \/ringed\/keys_file in GRANTRY_PROJECT_KEYS_FILE cannot be read/);
  await write({ served: served() });
  await restarted(async (broker) => {
    const problem = await problemOf(tokenOf(broker, 'ringed'));
    expect(problem).toMatchObject({ status: 500, code: 'integrity_error' });
    expect(await problemOf(clientOf(broker, 'ringed').call('POST', '/v1/webhook-endpoints', { body: { url: 'https://a.example/' } }))).toMatchObject({
      code: 'integrity_error',
    });
    expect(await checksOf(broker)).toMatchObject([
      { outcome: 'ok' },
      { outcome: 'warning', what: expect.stringMatching(/project ringed .* named no more/) },
    ]);
    for (const project of ['plain', 'served'] as const) expect((await tokenOf(broker, project)).access_token).toEqual(expect.any(String));
  });
  // The file with the keys may be one of its own.
  await writeFile(join(dir, 'ringed.json'), JSON.stringify(ring), { mode: 0o600 });
  await write({ ringed: { keys_file: 'ringed.json' }, served: served() });
  await restarted(async (broker) => expect((await tokenOf(broker, 'ringed')).access_token).toEqual(expect.any(String)));
});
