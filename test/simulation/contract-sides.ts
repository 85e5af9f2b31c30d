import { join } from 'node:path';
import pg from 'pg';
import type { Connections, Integrations, Providers, Refreshes, Tokens } from '../../src/broker/store.ts';
import { migrateDatabase, openPostgres } from '../../src/outside/postgres/database.ts';
import { createStore } from '../../src/outside/postgres/store.ts';
import { packageRoot } from '../harness/broker.ts';
import { createTestDatabase } from '../harness/database.ts';
import { project } from './link.ts';
import { createMemoryStore } from './memory-store.ts';

/** The memory store and the Postgres one, side by side, on clocks that somebody sets. */

export type Side = {
  store: {
    refreshes: Refreshes;
    connections: Pick<Connections, 'insert' | 'get' | 'renew' | 'setMetadata' | 'requireReauthorization' | 'remove'>;
    tokens: Pick<Tokens, 'byProject'>;
    integrations: Pick<Integrations, 'insert' | 'get' | 'update' | 'setStatus' | 'resume' | 'takeTrial' | 'isRefusedElsewhere'>;
    providers: Pick<Providers, 'current' | 'version' | 'put'>;
  };
  setClock(now: Date): Promise<void>;
  /** Postgres was started again at this time. */
  setStart(at: Date): Promise<void>;
  /** What the timeline of a connection says, the oldest first. */
  timeline(id: string): Promise<{ type: string; data: unknown }[]>;
  /** Of an intent. */
  intent(id: string, version: number): Promise<{ outcome: string; ambiguous: boolean; attempts: number } | undefined>;
  stop(): Promise<void>;
};

export function memorySide(): Side {
  const clock = { now: new Date(0), startedAt: new Date(0) };
  const { tables, ...store } = createMemoryStore({ now: () => clock.now, startedAt: () => clock.startedAt, notify() {}, watch() {} });
  return {
    store,
    async setClock(now) {
      clock.now = now;
    },
    async setStart(at) {
      clock.startedAt = at;
    },
    timeline: async (id) => tables.events.filter((event) => event.connection_id === id).map(({ type, data }) => ({ type, data })),
    async intent(id, version) {
      const found = tables.intents.get(`${id}/${version}`);
      return found && { outcome: found.outcome, ambiguous: found.ambiguous, attempts: found.attempts };
    },
    async stop() {},
  };
}

/** Functions of Postgres's clock that come before its own, for whoever does not name a schema. */
const setClocks = `
  create schema clock;
  create table clock.at (now timestamptz not null, started timestamptz not null);
  insert into clock.at values ('epoch', 'epoch');
  create function clock.now() returns timestamptz stable language sql as 'select now from clock.at';
  create function clock.pg_postmaster_start_time() returns timestamptz stable language sql as 'select started from clock.at';`;

export async function postgresSide(): Promise<Side> {
  const database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, join(packageRoot, 'drizzle')) });
  const own = new pg.Client({ connectionString: database.url });
  await own.connect();
  await own.query(setClocks);
  await own.query(`alter database ${new URL(database.url).pathname.slice(1)} set search_path = clock, public, pg_catalog`);
  await own.query(`insert into projects (id, name) values ($1, 'Default')`, [project]);
  const postgres = openPostgres({ url: database.url, max: 3, onError: () => {} });
  return {
    store: createStore(postgres),
    setClock: async (now) => void (await own.query('update clock.at set now = $1', [now])),
    setStart: async (at) => void (await own.query('update clock.at set started = $1', [at])),
    timeline: async (id) =>
      (await own.query<{ type: string; data: unknown }>('select type, data from events where connection_id = $1 order by id', [id])).rows,
    intent: async (id, version) =>
      (
        await own.query<{ outcome: string; ambiguous: boolean; attempts: number }>(
          'select outcome, ambiguous, attempts from refresh_intents where connection_id = $1 and token_version = $2',
          [id, version],
        )
      ).rows[0],
    async stop() {
      await postgres.close();
      await own.end();
      await database.drop();
    },
  };
}
