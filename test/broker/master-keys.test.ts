import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { turnKeys } from '../../src/broker/rotate-keys.ts';
import { generateKeyRing } from '../../src/outside/key-ring.ts';
import { type SandboxKms, startKms } from '../../src/sandbox/kms.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { settleMs, stateOf, turnAll } from '../rotation/broker.ts';

/** The way from one master key to the next, and to a key service. */

const [first, second] = [generateKeyRing(), generateKeyRing()];
const setOf = (text: string): { keys: { kid: string }[] } => JSON.parse(text);
const both = JSON.stringify({ keys: [...setOf(second).keys, ...setOf(first).keys] });
const kidOf = (text: string) => setOf(text).keys[0]?.kid ?? '';
const refused = { code: 'integrity_error', message: expect.stringMatching(/Start with the former keys/) };

let kms: SandboxKms;
let dir: string;
let home: TestBroker;
let id: string;

/** The same database with other keys, for as long as the work takes. */
async function withKeys<T>(env: Record<string, string>, work: (broker: TestBroker) => Promise<T>): Promise<T> {
  const adapt: NonNullable<Parameters<typeof startTestBroker>[0]>['adapt'] = (world) => ({ ...world, keys: { ...world.keys, settleMs } });
  const broker = await startTestBroker({ database: home.database, env: { GRANTRY_ROOT_KEY: home.broker.rootKey, ...env }, adapt });
  return work(broker).finally(broker.stop);
}
const rotated = (broker: TestBroker) => broker.root.call('POST', '/v1/encryption/rotate').then(() => turnAll(broker.broker.world));
const readable = async (broker: TestBroker) => expect(await broker.root.getToken(id)).toMatchObject({ access_token: 's3cret' });

beforeAll(async () => {
  kms = await startKms();
  dir = await mkdtemp(join(tmpdir(), 'grantry-test-'));
  await writeFile(join(dir, 'token'), kms.token, { mode: 0o600 });
  home = await startTestBroker({ env: { GRANTRY_KEYS: first } });
  const acme = { id: 'acme', name: 'Acme', methods: { key: { grant: 'api_key', inputs: { api_key: { label: 'Key', secret: true } } } } };
  await home.root.call('PUT', '/v1/providers/acme', { body: acme });
  await home.root.call('POST', '/v1/integrations', { body: { id: 'acme', provider: 'acme' } });
  const body = { integration: 'acme', end_user: { id: 'u' }, grant: 'api_key', inputs: { api_key: 's3cret' } };
  id = (await home.root.call<{ id: string }>('POST', '/v1/connections', { body })).id;
});
afterAll(async () => {
  await home?.stop();
  await kms.stop();
  await rm(dir, { recursive: true });
});

test('the new key wraps everything after a rotation, and then the old one is needed no more', async () => {
  await expect(withKeys({ GRANTRY_KEYS: second }, readable)).rejects.toMatchObject(refused);
  await withKeys({ GRANTRY_KEYS: both }, async (broker) => {
    await readable(broker);
    expect(await stateOf(broker)).toMatchObject({ master_key: kidOf(second), master_keys: [{ id: kidOf(first), data_keys: 1 }] });
    // The former data key is kept for a while: it is wrapped anew, too.
    await broker.root.call('POST', '/v1/encryption/rotate');
    await turnAll(broker.broker.world, { graceS: 3_600 });
    expect((await stateOf(broker)).master_keys).toEqual([{ id: kidOf(second), data_keys: 2 }]);
  });
  await withKeys({ GRANTRY_KEYS: second }, readable);
  await expect(withKeys({ GRANTRY_KEYS: first }, readable)).rejects.toMatchObject(refused);
});

test('a key that a data key still needs is missed at the start, though the canary opens', async () => {
  await home.sql(`update data_keys set wrapped_by = 'kek_gone'`);
  await expect(withKeys({ GRANTRY_KEYS: second }, readable)).rejects.toMatchObject({
    ...refused,
    message: expect.stringMatching(/kek_gone.*GRANTRY_KEYS/),
  });
  await home.sql(`update data_keys set wrapped_by = $1`, [kidOf(second)]);
});

test('a key service takes over; while it is away the rotation says so, and goes on when it is back', async () => {
  const service = { GRANTRY_KMS_URL: kms.url, GRANTRY_KMS_TOKEN_FILE: join(dir, 'token'), GRANTRY_KMS_ALLOW_PRIVATE_HOST: 'true' };
  await expect(withKeys(service, readable)).rejects.toMatchObject(refused);
  await withKeys({ ...service, GRANTRY_KEYS: second }, async (broker) => {
    await readable(broker);
    kms.switches.fault = { kind: 'down' };
    await broker.root.call('POST', '/v1/encryption/rotate');
    await turnKeys(broker.broker.world, { ms: 1_000, rowsPerS: 1_000, graceS: 0 });
    expect(await stateOf(broker)).toMatchObject({
      master_key: null,
      rotation: { phase: 'keys', problem: expect.stringMatching(/key service.*503/) },
    });
    await readable(broker);
    kms.switches.fault = { kind: 'none' };
    await turnAll(broker.broker.world);
    expect(await stateOf(broker)).toMatchObject({ rotation: { phase: 'done', problem: null } });
  });
  await withKeys(service, async (broker) => {
    await readable(broker);
    // The service turns to another key by itself: a rotation takes everything there.
    const next = kms.rotate();
    await rotated(broker);
    expect((await stateOf(broker)).master_keys.map(({ id: key }) => key)).toEqual([next]);
    await readable(broker);
  });
});
