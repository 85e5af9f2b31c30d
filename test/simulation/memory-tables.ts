import type { ConnectionRecord, EventRecord, IntegrationRecord, NewEvent, ProviderVersionRecord } from '../../src/broker/records.ts';
import type { StoredCredential } from '../../src/broker/store.ts';

/** The tables of the memory store, and the one way to change a connection: with its events, in one step. */

export type Intent = { lease: string; attempts: number; outcome: 'sent' | 'refreshed' | 'refused' | 'failed'; ambiguous: boolean };

/** What a step was, for those who watch. */
export type Cause = 'claim' | 'commit' | 'fail' | 'renew' | 'remove' | 'stop' | 'metadata' | 'hand_out' | 'put_off' | 'resume';
export type Step = { cause: Cause; before: ConnectionRecord; after: ConnectionRecord; events: readonly EventRecord[] };

export type Outside = {
  /** Postgres's clock. */
  now(): Date;
  /** When it was started last. */
  startedAt(): Date;
  /** NOTIFY. */
  notify(connectionId: string): void;
  /** Hears of every step, after it. */
  watch(step: Step): void;
};

export type Tables = {
  outside: Outside;
  connections: Map<string, ConnectionRecord>;
  intents: Map<string, Intent>;
  integrations: Map<string, IntegrationRecord>;
  definitions: ProviderVersionRecord[];
  events: EventRecord[];
  /** A connection that is not deleted. */
  living(id: string, project?: string): ConnectionRecord | undefined;
  /** Changes a connection and writes the events of the change. */
  change(cause: Cause, before: ConnectionRecord, patch: Partial<ConnectionRecord>, events?: readonly NewEvent[]): ConnectionRecord;
  write(events: readonly NewEvent[]): EventRecord[];
  /** `now() + make_interval(secs => seconds)`. */
  inS(seconds: number): Date;
};

export const intentKey = (id: string, version: number): string => `${id}/${version}`;

export function createTables(outside: Outside): Tables {
  const tables: Tables = {
    outside,
    connections: new Map(),
    intents: new Map(),
    integrations: new Map(),
    definitions: [],
    events: [],
    living(id, project) {
      const row = tables.connections.get(id);
      return row === undefined || row.deleted_at !== null || (project !== undefined && row.project_id !== project) ? undefined : row;
    },
    change(cause, before, patch, events = []) {
      const after = { ...before, ...patch };
      tables.connections.set(after.id, after);
      outside.watch({ cause, before, after, events: tables.write(events) });
      return after;
    },
    write(news) {
      const written = news.map((event, index) => ({
        id: `evt_${String(tables.events.length + index).padStart(26, '0')}`,
        project_id: event.project_id,
        type: event.type,
        integration_id: event.integration_id ?? null,
        link_id: event.link_id ?? null,
        connection_id: event.connection_id ?? null,
        data: event.data ?? {},
        created_at: outside.now(),
      }));
      tables.events.push(...written);
      return written;
    },
    inS: (seconds) => new Date(outside.now().getTime() + Math.round(seconds * 1000)),
  };
  return tables;
}

/** What a credential that works puts right. */
export const healthy = {
  status: 'active',
  reason: null,
  reason_since: null,
  queued_until: null,
  put_off_since: null,
  refresh_lease: null,
  lease_until: null,
  retry_at: null,
  failure_count: 0,
  failing_since: null,
  last_error: null,
} as const;

/** Lifetimes turned into instants by Postgres's clock, counted back to when the request was sent. */
export function credentialColumns({ inS }: Tables, { times, credential_sealed, scopes, missing_scopes, extras, refreshable }: StoredCredential) {
  const since = (seconds: number | null) => (seconds === null ? null : inS(seconds - times.ageMs / 1000));
  return {
    credential_sealed,
    scopes,
    missing_scopes,
    extras,
    refreshable,
    issued_at: inS(-times.ageMs / 1000),
    expires_at: since(times.lifetimeS),
    refresh_expires_at: since(times.refreshLifetimeS),
    refresh_due_at: since(times.dueInS),
  };
}
