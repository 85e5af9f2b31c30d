import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SandboxKms, startKms } from '../../src/sandbox/kms.ts';
import { problemOf, startTestBroker, type TestBroker } from '../harness/broker.ts';

/** A broker whose master key is in a service, and the way there. */

const definition = `id: acme
name: Acme
api: { base_url: 'http://127.0.0.1:9/' }
methods: { key: { grant: api_key, inputs: { api_key: { label: Key, secret: true } } } }`;

let kms: SandboxKms;
let dir: string;
let broker: TestBroker;
let env: Record<string, string>;

/** An integration and a connection in the project; the connection's id. */
async function connectionIn(project: string, on = broker): Promise<string> {
  const client = await on.clientWith(['admin'], project);
  await client.call('PUT', '/v1/providers/acme', { body: definition, contentType: 'application/yaml' });
  await client.call('POST', '/v1/integrations', { body: { id: 'acme', provider: 'acme' } });
  const body = { integration: 'acme', end_user: { id: 'u' }, grant: 'api_key', inputs: { api_key: 's3cret' } };
  return (await client.call<{ id: string }>('POST', '/v1/connections', { body })).id;
}

beforeAll(async () => {
  kms = await startKms();
  dir = await mkdtemp(join(tmpdir(), 'grantry-test-'));
  const tokenFile = join(dir, 'token');
  await writeFile(tokenFile, `${kms.token}\n`, { mode: 0o600 });
  env = { GRANTRY_KMS_URL: kms.url, GRANTRY_KMS_TOKEN_FILE: tokenFile, GRANTRY_KMS_ALLOW_PRIVATE_HOST: 'true', GRANTRY_DATA_DIR: dir };
  broker = await startTestBroker({ env });
});
afterAll(async () => {
  await broker?.stop();
  await kms.stop();
  await rm(dir, { recursive: true });
});

test('the token path asks the service for nothing, and goes on while it is away; a new project is told to wait', async () => {
  const id = await connectionIn('default');
  expect(await broker.root.getToken(id)).toMatchObject({ access_token: 's3cret' });
  const asked = { ...kms.counters };
  kms.switches.fault = { kind: 'down' };
  for (let n = 0; n < 5; n += 1) expect(await broker.root.getToken(id)).toMatchObject({ access_token: 's3cret' });
  expect(kms.counters).toEqual(asked);
  await broker.root.call('POST', '/v1/projects', { body: { id: 'later', name: 'Later' } });
  expect(await problemOf(connectionIn('later'))).toMatchObject({
    status: 503,
    code: 'unavailable',
    retryAfterS: 5,
    message: expect.stringMatching(/key service/),
  });
  const { checks } = await broker.root.call<{ checks: { check: string }[] }>('GET', '/v1/diagnostics');
  expect(checks.find(({ check }) => check === 'keys')).toMatchObject({ outcome: 'failed', what: expect.stringMatching(/answers with 503/) });
  kms.switches.fault = { kind: 'none' };
  const client = await broker.clientWith(['admin'], 'later');
  const body = { integration: 'acme', end_user: { id: 'u' }, grant: 'api_key', inputs: { api_key: 'late' } };
  const { id: late } = await client.call<{ id: string }>('POST', '/v1/connections', { body });
  expect(await client.getToken(late)).toMatchObject({ access_token: 'late' });
  const log = broker.logged.join('');
  expect(log).toContain('the key service could not be used');
  for (const secret of [kms.token, 's3cret']) expect(log).not.toContain(secret);
});

test('a start without the service is refused in one sentence, and so is one with another service', async () => {
  const { database } = broker;
  kms.switches.fault = { kind: 'down' };
  await expect(startTestBroker({ database, env })).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/key service.*answers with 503/),
  });
  kms.switches.fault = { kind: 'refuse', error: 'forbidden', status: 403 };
  await expect(startTestBroker({ database, env })).rejects.toThrow(/refuses our credential/);
  kms.switches.fault = { kind: 'none' };
  const other = await startKms();
  const tokenFile = join(dir, 'other-token');
  await writeFile(tokenFile, other.token, { mode: 0o600 });
  const wrong = { ...env, GRANTRY_KMS_URL: other.url, GRANTRY_KMS_TOKEN_FILE: tokenFile };
  await expect(startTestBroker({ database, env: wrong })).rejects.toMatchObject({
    code: 'integrity_error',
    message: expect.stringMatching(/not the keys/),
  });
  await writeFile(tokenFile, kms.token, { mode: 0o600 });
  await expect(startTestBroker({ database, env: { ...wrong, GRANTRY_KMS_TOKEN_FILE: join(dir, 'absent') } })).rejects.toThrow(/absent/);
  await other.stop();
  const again = await startTestBroker({ database, env });
  await again.stop();
});

test('the credential is read anew for each call', async () => {
  await writeFile(env.GRANTRY_KMS_TOKEN_FILE ?? '', 'an-old-one', { mode: 0o600 });
  const keys = async () =>
    (await broker.root.call<{ checks: { check: string; outcome: string }[] }>('GET', '/v1/diagnostics')).checks.find(({ check }) => check === 'keys');
  expect(await keys()).toMatchObject({ outcome: 'failed' });
  await writeFile(env.GRANTRY_KMS_TOKEN_FILE ?? '', kms.token, { mode: 0o600 });
  expect(await keys()).toMatchObject({ outcome: 'ok' });
});
