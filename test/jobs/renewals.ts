import { vi } from 'vitest';
import type { World } from '../../src/broker/world.ts';
import { type Jobs, startJobs } from '../../src/jobs/start.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { serveHttp } from '../outside/local-servers.ts';

/** A broker with a provider that gives out tokens of every kind, and background work that can be watched. */

export type Answer = { status: number; headers?: Record<string, string>; fields?: Record<string, unknown> };
export type Renewals = TestBroker & {
  provider: {
    /** Every request for a token, as it came. */
    asked: URLSearchParams[];
    /** What it says from now on, beside a new token. */
    answer: Answer;
    /** Called before an answer is sent. */
    before: () => Promise<void>;
  };
  /** Starts the background work; the sweep runs all the time. */
  start(options?: { redisUrl?: string | undefined; refreshConcurrency?: number; sweepEveryMs?: number }): Promise<Jobs>;
  /** Sweeps that ended, and how many refreshes each has handed out. */
  sweeps: number[];
  /** How often everything was handed out again. */
  again: () => number;
  /** Waits for so many more sweeps. */
  moreSweeps(count: number): Promise<void>;
  connect(integration: string): Promise<string>;
  /** Due now, and its token still lives. */
  makeDue(...ids: string[]): Promise<void>;
  row(id: string): Promise<Row>;
};
export type Row = {
  token_version: number;
  status: string;
  refreshable: boolean;
  refresh_lease: string | null;
  due_in_s: number | null;
  ends_in_s: number | null;
  due_after_issue_s: number | null;
};

const methods = (url: string) => {
  const web = { grant: 'authorization_code', authorization_endpoint: `${url}/auth`, token_endpoint: `${url}/token` };
  return {
    web,
    early: { ...web, refresh: { not_before_expiry: true } },
    idle: { ...web, refresh: { keep_alive: 'P1D' } },
    ending: { ...web, response: { refresh_token_expires_in: '/refresh_expires_in' } },
    current: { ...web, refresh: { how: 'exchange_current', params: { exchange: '{access_token}' } } },
    machine: { grant: 'client_credentials', token_endpoint: `${url}/token` },
  };
};

/** A job that was cut off by a stop is handed out again after half a minute, a schedule that is stuck after a minute. */
export const patience = { timeout: 90_000, interval: 20 };

export async function startRenewals(): Promise<Renewals> {
  const whole = await startTestBroker();
  const provider: Renewals['provider'] = { asked: [], answer: { status: 200 }, before: async () => {} };
  let tokens = 0;
  const server = await serveHttp(async (request, response) => {
    provider.asked.push(new URLSearchParams(Buffer.concat(await request.toArray()).toString()));
    await provider.before();
    tokens += 1;
    const { status, headers, fields } = provider.answer;
    const body =
      status === 200 ? { access_token: `at-${tokens}`, token_type: 'bearer', expires_in: 3_600, refresh_token: `rt-${tokens}`, ...fields } : {};
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  });
  const definition = { id: 'renewed', name: 'Renewed', methods: methods(`http://127.0.0.1:${server.port}`) };
  await whole.root.call('PUT', '/v1/providers/renewed', { body: definition });
  for (const method of Object.keys(definition.methods)) {
    await whole.root.call('POST', '/v1/integrations', {
      body: { id: method, provider: 'renewed', method, client_id: 'id', client_secret: 'secret' },
    });
  }
  const sweeps: number[] = [];
  let again = 0;

  return {
    ...whole,
    provider,
    sweeps,
    again: () => again,
    start: ({ redisUrl, refreshConcurrency, sweepEveryMs = 200 } = {}) =>
      startJobs({
        world: watched(whole.broker.world, {
          swept: (handedOut) => sweeps.push(handedOut),
          handedOutAgain: () => {
            again += 1;
          },
        }),
        databaseUrl: whole.database.url,
        redisUrl,
        sweepEveryMs,
        ...(refreshConcurrency !== undefined && { refreshConcurrency }),
      }),
    async moreSweeps(count) {
      const wanted = sweeps.length + count;
      await vi.waitUntil(() => sweeps.length >= wanted, patience);
    },
    async connect(integration) {
      const grant =
        integration === 'machine'
          ? { grant: 'client_credentials' }
          : { import: { access_token: 'at-0', refresh_token: 'rt-0', expires_at: new Date(Date.now() + 3_600_000).toISOString() } };
      const { id } = await whole.root.call<{ id: string }>('POST', '/v1/connections', { body: { integration, end_user: { id: 'u1' }, ...grant } });
      return id;
    },
    async makeDue(...ids) {
      await whole.sql('update connections set refresh_due_at = now(), queued_until = null where id = any($1)', [ids]);
    },
    async row(id) {
      const [found] = await whole.sql<Row>(
        `select token_version, status, refreshable, refresh_lease, extract(epoch from refresh_due_at - now())::float8 as due_in_s,
           extract(epoch from expires_at - now())::float8 as ends_in_s, extract(epoch from refresh_due_at - issued_at)::float8 as due_after_issue_s
         from connections where id = $1`,
        [id],
      );
      if (found === undefined) throw new Error('gone');
      return found;
    },
    async stop() {
      await whole.stop();
      await server.close();
    },
  };
}

function watched(world: World, tell: { swept(handedOut: number): void; handedOutAgain(): void }): World {
  const { read, due, postpone, handOutAgain, counts, claim, commit, fail } = world.store.refreshes;
  const refreshes = {
    read,
    postpone,
    counts,
    claim,
    commit,
    fail,
    async due(limit: number, holdS: number) {
      const rows = await due(limit, holdS);
      tell.swept(rows.length);
      return rows;
    },
    async handOutAgain() {
      await handOutAgain();
      tell.handedOutAgain();
    },
  };
  return { ...world, store: { ...world.store, refreshes } };
}
