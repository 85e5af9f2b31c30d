import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createGrantryClient, type GrantryClient } from '../src/client/client.ts';
import { createBrowser } from '../src/sandbox/browser.ts';
import { startSandbox } from '../src/sandbox/sandbox.ts';
import { packageRoot } from './harness/broker.ts';
import { type BrokerProcess, startBrokerProcess } from './harness/broker-process.ts';
import { bundled } from './harness/bundle.ts';
import { createTestDatabase } from './harness/database.ts';
import { testRedisUrl } from './harness/redis.ts';

/** The flags of Node that the image starts with, and that docs/hardening.md names, are ones with which the broker does its work. */

const image = /^CMD (\[.*\])$/m.exec(readFileSync(join(packageRoot, 'Dockerfile'), 'utf8'))?.[1] ?? '[]';
const flags = (JSON.parse(image) as string[]).filter((word) => word.startsWith('--'));
const rootKey = 'r'.repeat(43);

let sandbox: Awaited<ReturnType<typeof startSandbox>>;
let broker: BrokerProcess;
let root: GrantryClient;
const undo: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const [bundle, database] = await Promise.all([bundled('src/main.ts'), createTestDatabase()]);
  undo.push(bundle.remove, database.drop);
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: `${testRedisUrl()}/1`,
    GRANTRY_KEYS: JSON.stringify({ keys: [{ kty: 'oct', kid: 'one', k: Buffer.alloc(32, 7).toString('base64url') }] }),
    GRANTRY_ROOT_KEY: rootKey,
    GRANTRY_ROLE: 'all',
    GRANTRY_DATA_DIR: join(bundle.packageRoot, 'data'),
    NODE_OPTIONS: flags.join(' '),
  };
  broker = await startBrokerProcess(env, bundle.program);
  undo.push(() => broker.end('SIGTERM'));
  sandbox = await startSandbox({ publicUrl: broker.url });
  undo.push(sandbox.stop);
  root = createGrantryClient({ baseUrl: broker.url, apiKey: rootKey });
});
afterAll(async () => {
  for (const step of undo.reverse()) await step();
});

test('they are those of the checklist, and take the way to the prototype of everything out of every object', () => {
  expect(flags).toEqual(expect.arrayContaining(['--disable-proto=delete', '--disallow-code-generation-from-strings']));
  for (const flag of flags.filter((each) => each !== '--enable-source-maps')) {
    expect(readFileSync(join(packageRoot, 'docs/hardening.md'), 'utf8')).toContain(`\`${flag}\``);
  }
});

test('the broker connects, refuses, hands out, and tells of a grant that has ended', async () => {
  const as = sandbox.providers.authorizationServer;
  await root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const { redirect_uri } = await root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', ...as.client },
  });
  as.registerRedirectUri(redirect_uri);
  const walk = async (answer: 'Approve' | 'Deny') => {
    const link = await root.createConnectLink({ integration: 'as', end_user: { id: 'ada' } });
    const consent = await (await createBrowser().open(link.url)).submit();
    await consent.submit({ user: 'ada' }, answer);
    return await root.getConnectLink(link.id);
  };
  expect(await walk('Deny')).toMatchObject({ status: 'failed' });
  const { connection_id } = await walk('Approve');
  const id = connection_id ?? '';
  expect(await root.getToken(id, { force: true })).toMatchObject({ token_type: 'bearer' });
  await root.call('DELETE', `/v1/connections/${id}`);
  await vi.waitFor(() => expect(as.counters.revocations).toBeGreaterThan(0), { timeout: 60_000 });
  expect(broker.printed.filter((line) => /"level":"(error|fatal)"/.test(line))).toEqual([]);
});
