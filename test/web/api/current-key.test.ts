import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGrantryClient } from '../../../src/client/client.ts';
import { problemOf, startTestBroker, type TestBroker } from '../../harness/broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker?.stop());

const path = '/v1/api-keys/current';

test('a key learns whose it is and what it may do', async () => {
  await broker.root.call('POST', '/v1/projects', { body: { id: 'beta', name: 'Beta' } });
  const { key, call } = await broker.clientWith(['tokens', 'connect'], 'beta');
  const answer = await call('GET', path);
  expect(answer).toEqual({ id: `key_${key.split('_')[1]}`, scopes: ['tokens', 'connect'], limits: {}, project: 'beta', public_url: broker.url });
  const root = createGrantryClient({ baseUrl: broker.url, apiKey: broker.broker.rootKey, project: 'beta' });
  expect(await root.call('GET', path)).toEqual({ id: 'root', scopes: ['root'], limits: {}, project: 'beta', public_url: broker.url });
});

test('who has none learns nothing', async () => {
  const nobody = createGrantryClient({ baseUrl: broker.url, apiKey: `grt_${'0'.repeat(26)}_${'A'.repeat(43)}` });
  expect(await problemOf(nobody.call('GET', path))).toMatchObject({ status: 401, code: 'unauthorized' });
});
