import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isOverdue } from '../../../src/broker/links.ts';
import type { Store } from '../../../src/broker/store.ts';
import { migrateDatabase, openPostgres, type Postgres } from '../../../src/outside/postgres/database.ts';
import { createStore } from '../../../src/outside/postgres/store.ts';
import { packageRoot } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';

/** The instant at which a link, a flow or a nonce is over: what takes it, what sweeps it and what shows it see the same one. */

let database: TestDatabase;
let postgres: Postgres;
let store: Store;
let client: pg.Client;
const instant = new Date('2026-01-02T03:04:05.678Z');
const after = (ms: number) => new Date(instant.getTime() + ms);
const hash = (text: string) => Buffer.from(text.padEnd(32, '.'));
const [browser, state, nonce] = [hash('browser'), hash('state'), hash('nonce')];
const id = 'lnk_1';

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, `${packageRoot}/drizzle`) });
  client = new pg.Client(database.url);
  await client.connect();
  await client.query(`insert into projects (id, name) values ('default', 'Default')`);
  // A clock that stands still: the statements say now(), and find this one before Postgres's own.
  await client.query('create schema clock');
  await client.query(`create function clock.now() returns timestamptz language sql stable as $$ select timestamptz '${instant.toISOString()}' $$`);
  await client.query(`alter database ${new URL(database.url).pathname.slice(1)} set search_path = clock, public, pg_catalog`);
  postgres = openPostgres({ url: database.url, max: 2, onError: () => {} });
  store = createStore(postgres);
});
afterAll(async () => {
  await client.end();
  await postgres.close();
  await database.drop();
});
beforeEach(() => client.query('delete from connect_links'));

const past = after(-3_600_000);
const kinds = {
  link: {
    at: (time: Date) => ({ status: 'opened', expires_at: time }),
    take: () => store.links.begin(id, browser, state, 600),
  },
  flow: {
    at: (time: Date) => ({ status: 'authorizing', expires_at: past, state_hash: state, state_expires_at: time }),
    take: () => store.links.consumeState(state),
  },
  'flow that is known by its cookie': {
    at: (time: Date) => ({ status: 'authorizing', expires_at: past, state_hash: state, state_expires_at: time, browser_hash: browser }),
    take: () => store.links.consumeByBrowser(browser, 'https://broker.example/cb'),
  },
  nonce: {
    at: (time: Date) => ({ status: 'confirming', expires_at: past, nonce_hash: nonce, nonce_expires_at: time }),
    take: () => store.links.takeNonce('default', id, nonce),
  },
} as const;

async function insert(purpose: string, columns: Record<string, unknown>): Promise<void> {
  const snapshot = { definition: { methods: { web: { callback: { state: 'not_echoed' } } } }, provider_version: 1, method: 'web', client_id: 'app' };
  const row = {
    id,
    project_id: 'default',
    integration_id: 'as',
    purpose,
    token_hash: hash('token'),
    end_user: { id: 'u1' },
    scopes: [],
    metadata: {},
    verification: 'user',
    page: 'shown',
    endpoint: 'authorization',
    snapshot,
    redirect_uri: 'https://broker.example/cb',
    ...columns,
  };
  const names = Object.keys(row);
  await client.query(
    `insert into connect_links (${names.join()}) values (${names.map((_, n) => `$${n + 1}`).join()})`,
    Object.values(row).map((value) =>
      typeof value === 'object' && !(value instanceof Date || Buffer.isBuffer(value) || Array.isArray(value)) ? JSON.stringify(value) : value,
    ),
  );
}

describe.each(['connect', 'test'])('of a link to %s', (purpose) => {
  test.each(Object.keys(kinds) as (keyof typeof kinds)[])('a %s is over at the instant of its end, and not a millisecond before', async (kind) => {
    const { at, take } = kinds[kind];
    const seen = async () => {
      const link = await store.links.byId(id);
      if (link === undefined) throw new Error('gone');
      return isOverdue({ now: () => instant }, link);
    };

    await insert(purpose, at(after(1)));
    expect(await seen()).toBe(false);
    expect(await store.links.expireOverdue(10)).toBe(0);
    expect(await take()).toMatchObject({ id });

    await client.query('delete from connect_links');
    await insert(purpose, at(instant));
    expect(await seen()).toBe(true);
    expect(await take()).toBeUndefined();
    expect(await store.links.expireOverdue(10)).toBe(1);
    expect(await store.links.byId(id)).toMatchObject({ status: 'expired', error_code: 'link_expired' });
  });
});

test('a flow that is over does not stand in the way of the one that lives in the same browser', async () => {
  const { at } = kinds['flow that is known by its cookie'];
  await insert('connect', at(instant));
  await insert('connect', { ...at(after(1)), id: 'lnk_2', token_hash: hash('token 2'), state_hash: hash('state 2') });
  expect(await store.links.consumeByBrowser(browser, 'https://broker.example/cb')).toMatchObject({ id: 'lnk_2' });
});
