import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Jobs, startJobs } from '../../src/jobs/start.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { type Place, redisPlace } from './backends.ts';

const patience = { timeout: 15_000, interval: 50 };

let whole: Awaited<ReturnType<typeof startWholeSandbox>>;
let redis: Place;
let jobs: Jobs | undefined;

beforeAll(async () => {
  whole = await startWholeSandbox();
  redis = await redisPlace(13);
  const as = whole.sandbox.providers.authorizationServer;
  await whole.root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const integration = await whole.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', ...as.client },
  });
  as.registerRedirectUri(integration.redirect_uri);
});
afterEach(async () => {
  await jobs?.stop();
  jobs = undefined;
});
afterAll(async () => {
  await redis.leave();
  await whole.stop();
});

describe.each([
  { name: 'Redis', redisUrl: () => redis.backend.url },
  { name: 'Postgres', redisUrl: () => undefined },
])('on $name', ({ redisUrl }) => {
  const start = async () => {
    jobs = await startJobs({ world: whole.broker.world, databaseUrl: whole.database.url, redisUrl: redisUrl(), houseEveryMs: 200 });
  };

  const linkStatus = async (id: string) => (await whole.sql<{ status: string }>('select status from connect_links where id = $1', [id]))[0]?.status;

  async function overdueLink(): Promise<string> {
    const { id } = await whole.root.createConnectLink({ integration: 'as', end_user: { id: 'late' } });
    await whole.sql(`update connect_links set expires_at = now() - interval '1 second' where id = $1`, [id]);
    return id;
  }

  async function connect(user: string): Promise<string> {
    const link = await whole.root.createConnectLink({ integration: 'as', end_user: { id: user } });
    const page = await createBrowser().open(link.url);
    await (await page.submit()).submit({ user }, 'Approve');
    const { connection_id } = await whole.root.getConnectLink(link.id);
    if (connection_id === null || connection_id === undefined) throw new Error('The user could not connect.');
    return connection_id;
  }

  test('an overdue link is ended', async () => {
    const id = await overdueLink();
    expect(await linkStatus(id)).toBe('pending');
    await start();
    await vi.waitFor(async () => expect(await linkStatus(id)).toBe('expired'), patience);
  });

  test('a revocation that the provider missed is tried again', async () => {
    const { switches, counters } = whole.sandbox.providers.authorizationServer;
    const id = await connect(`revoked-${redisUrl() === undefined}`);
    const { revocations } = counters;
    switches.revocationFault = { kind: 'down' };
    await whole.root.call('DELETE', `/v1/connections/${id}`);
    const waiting = () => whole.sql('select 1 from revocations where connection_id = $1', [id]);
    await vi.waitFor(async () => expect(await waiting()).toHaveLength(1), patience);
    switches.revocationFault = { kind: 'none' };
    expect(counters.revocations).toBe(revocations);
    await whole.sql(`update revocations set next_attempt_at = now() - interval '1 second' where connection_id = $1`, [id]);
    await start();
    await vi.waitFor(async () => expect(await waiting()).toHaveLength(0), patience);
    expect(counters.revocations).toBeGreaterThan(revocations);
  });

  test('housekeeping that fails goes on when it can, and the statement that failed is nowhere to be read', async () => {
    const id = await overdueLink();
    whole.logged.length = 0;
    await whole.sql('alter table connect_links rename to connect_links_away');
    try {
      await start();
      const stored = async () => (redisUrl() === undefined ? JSON.stringify(await whole.sql('select * from bullmq.job')) : await redis.dump());
      await vi.waitFor(async () => expect(await stored()).toContain('DrizzleQueryError 42P01'), patience);
      expect(whole.logged.join('')).toContain('a job failed');
      expect((await stored()) + whole.logged.join('')).not.toMatch(/Failed query|connect_links/);
    } finally {
      await whole.sql('alter table connect_links_away rename to connect_links');
    }
    await vi.waitFor(async () => expect(await linkStatus(id)).toBe('expired'), patience);
  });
});

test('without Redis the log says what it would add', async () => {
  whole.logged.length = 0;
  jobs = await startJobs({ world: whole.broker.world, databaseUrl: whole.database.url, redisUrl: undefined });
  expect(whole.logged.filter((line) => line.includes('REDIS_URL'))).toHaveLength(1);
});
