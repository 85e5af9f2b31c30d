import type { IntegrationRecord, RevocationRecord } from '../../src/broker/records.ts';
import type { Events, Integrations, Links, Providers, Refreshes, Revocations, Tokens } from '../../src/broker/store.ts';
import { linkOf } from './link.ts';
import { type MemoryConnections, memoryConnections, memoryTokens } from './memory-connections.ts';
import { memoryRefreshes } from './memory-refreshes.ts';
import { createTables, type Outside, type Tables } from './memory-tables.ts';

/** A model of the Postgres store, of what the refresh engine and its surroundings ask of it. One method is one atomic step. */
export type MemoryStore = {
  refreshes: Refreshes;
  connections: MemoryConnections;
  tokens: Pick<Tokens, 'byProject'>;
  integrations: Pick<Integrations, 'insert' | 'get' | 'update' | 'setStatus' | 'resume' | 'takeTrial' | 'isRefusedElsewhere'>;
  providers: Pick<Providers, 'current' | 'version' | 'put'>;
  events: Events;
  /** Nobody tries what is queued a second time. */
  revocations: Pick<Revocations, 'queue' | 'done'>;
  /** A link that somebody follows never ends. */
  links: Pick<Links, 'byId' | 'fail'>;
};

function memoryIntegrations(tables: Tables): MemoryStore['integrations'] {
  const { outside, integrations } = tables;
  const found = (project: string, id: string) => {
    const row = integrations.get(id);
    return row?.project_id === project ? row : undefined;
  };
  const put = (row: IntegrationRecord) => {
    integrations.set(row.id, row);
    return row;
  };
  /** What waited for a registration that the provider accepts need not wait any longer. */
  function resume(project: string, id: string): void {
    for (const row of [...tables.connections.values()]) {
      if (row.project_id !== project || row.integration_id !== id || row.deleted_at !== null) continue;
      const wasRefused = row.status === 'refresh_failing' && row.last_error?.code === 'invalid_client';
      if (!wasRefused && row.put_off_since === null) continue;
      // LEAST passes over null.
      const refresh_due_at = new Date(Math.min(row.refresh_due_at?.getTime() ?? Infinity, outside.now().getTime()));
      tables.change('resume', row, { retry_at: null, queued_until: null, refresh_due_at });
    }
  }
  return {
    async insert(integration) {
      if (integrations.has(integration.id)) return undefined;
      return put({ ...integration, status: 'active', trial_at: null, created_at: outside.now(), updated_at: outside.now() });
    },
    get: async (project, id) => found(project, id),
    async update(project, id, secretVersion, change, events = []) {
      const old = found(project, id);
      if (old === undefined || old.secret_version !== secretVersion) return undefined;
      const changed = put({ ...old, ...change, ...(change.status && { trial_at: null }), updated_at: outside.now() });
      if (change.status !== undefined && change.status !== old.status) tables.write(events);
      return changed;
    },
    async setStatus({ project_id, id, secret_version }, status, events) {
      const old = found(project_id, id);
      if (old === undefined || old.secret_version !== secret_version || old.status === status) return false;
      put({ ...old, status, trial_at: status === 'misconfigured' ? outside.now() : null });
      tables.write(events);
      return true;
    },
    resume: async (project, id) => resume(project, id),
    async takeTrial(project, id, everyS) {
      const old = found(project, id);
      if (old === undefined) return false;
      const isFree = old.status !== 'misconfigured' || old.trial_at === null || old.trial_at.getTime() <= outside.now().getTime() - everyS * 1000;
      if (isFree) put({ ...old, trial_at: outside.now() });
      return isFree;
    },
    async isRefusedElsewhere({ project_id, id, updated_at }, connection) {
      const rows = [...tables.connections.values()].filter(
        (row) => row.project_id === project_id && row.integration_id === id && row.deleted_at === null,
      );
      const refused = rows.filter((row) => row.id !== connection && row.status === 'refresh_failing' && row.last_error?.code === 'invalid_client');
      const lastMs = Math.max(...refused.map(({ last_error }) => Date.parse(last_error?.at ?? '')).filter((atMs) => atMs > updated_at.getTime()));
      return Number.isFinite(lastMs) && rows.every(({ issued_at }) => issued_at.getTime() <= lastMs);
    },
  };
}

function memoryRevocations({ outside, write }: Tables): MemoryStore['revocations'] {
  const queued = new Map<string, RevocationRecord>();
  return {
    async queue(revocation) {
      const there = queued.get(revocation.connection_id);
      if (there !== undefined && there.token_version >= revocation.token_version) return undefined;
      const row = { ...revocation, attempts: 0, next_attempt_at: outside.now(), created_at: outside.now() };
      queued.set(row.connection_id, row);
      return row;
    },
    async done({ connection_id, token_version }, events) {
      if (queued.get(connection_id)?.token_version !== token_version) return;
      queued.delete(connection_id);
      write(events);
    },
  };
}

export function createMemoryStore(outside: Outside): MemoryStore & { tables: Tables } {
  const tables = createTables(outside);
  const of = (project: string, id: string) => tables.definitions.filter((each) => each.project_id === project && each.provider_id === id);
  return {
    tables,
    refreshes: memoryRefreshes(tables),
    connections: memoryConnections(tables),
    tokens: memoryTokens(tables),
    integrations: memoryIntegrations(tables),
    revocations: memoryRevocations(tables),
    providers: {
      current: async (project, id) => of(project, id).find(({ current }) => current),
      version: async (project, id, version) => of(project, id).find((each) => each.version === version),
      async put(project, id, made) {
        const older = of(project, id);
        for (const each of older) tables.definitions.splice(tables.definitions.indexOf(each), 1, { ...each, current: false });
        const next = { project_id: project, provider_id: id, version: older.length + 1, ...made, current: true, created_at: outside.now() };
        tables.definitions.push(next);
        return next;
      },
    },
    events: {
      async list(project, { connection }, { limit, after }) {
        const all = tables.events.filter((each) => each.project_id === project && (connection === undefined || each.connection_id === connection));
        const items = all.reverse().filter(({ id }) => after === undefined || id < after);
        return { items: items.slice(0, limit), next: items.length > limit ? items[limit - 1]?.id : undefined };
      },
    },
    links: { byId: async () => linkOf('', ''), fail: async () => true },
  };
}
