import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateKeyRing } from '../../src/outside/key-ring.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { quick, turnAll } from '../rotation/broker.ts';
import { openProgram, type Program } from './program.ts';

let broker: TestBroker;
let program: Program;
const grantry = (args: string, key = broker.broker.rootKey) => program.run(args.split(' '), { GRANTRY_URL: broker.url, GRANTRY_API_KEY: key });

beforeAll(async () => {
  const keys = generateKeyRing();
  [broker, program] = await Promise.all([startTestBroker({ env: { GRANTRY_KEYS: keys }, adapt: quick(keys) }), openProgram()]);
  await broker.root.call('POST', '/v1/webhook-endpoints', { body: { url: 'http://127.0.0.1:9/' } });
});
afterAll(async () => {
  await broker?.stop();
  await program?.remove();
});

test('the keys are rotated and waited for, and what does not open is named', async () => {
  const state = await grantry('encryption status --count');
  expect(state.out).toMatch(/^master_key +kek_/m);
  expect(state.out).toMatch(/^webhook_endpoints +dk_[0-9a-f]{32} +1$/m);
  expect(state.out).toContain('The keys were never rotated.');
  const { child, ended, said } = program.start(['encryption', 'rotate', '--wait'], {
    GRANTRY_URL: broker.url,
    GRANTRY_API_KEY: broker.broker.rootKey,
  });
  await said(/keys are made and wrapped/);
  await turnAll(broker.broker.world);
  const done = await ended;
  expect([done.code, child.signalCode]).toEqual([0, null]);
  expect(done.out).toMatch(/^rotation +done$/m);
  expect(done.out).toMatch(/^webhook_endpoints +1 +1 +1 +0 +0$/m);
  await broker.sql(`update webhook_endpoints set secrets_sealed = 'damaged'`);
  await broker.root.call('POST', '/v1/encryption/rotate');
  await turnAll(broker.broker.world);
  const after = await grantry('encryption status --count');
  expect(after.out).toMatch(/^damaged +1$/m);
  expect(after.out).toMatch(/^default +webhook_endpoints +whe_\w+ +secrets +/m);
  expect(after.out).toMatch(/^webhook_endpoints +none of ours +1$/m);
  const { key } = await broker.clientWith(['admin']);
  expect((await grantry('encryption rotate', key)).code).toBe(4);
});

test('a project that had to be left out is an error of the one who waits', async () => {
  await broker.sql(`update data_keys set wrapped = 'own:default:' || wrapped where retired_at is null`);
  const { ended, said } = program.start(['encryption', 'rotate', '--wait'], { GRANTRY_URL: broker.url, GRANTRY_API_KEY: broker.broker.rootKey });
  await said(/keys are made and wrapped/);
  await turnAll(broker.broker.world);
  const { code, out, err } = await ended;
  expect(code).toBe(1);
  expect(out).toMatch(/^problem +Left out for now/m);
  expect(err).toMatch(/Left out for now, .*: default\. They follow by themselves\./);
});
