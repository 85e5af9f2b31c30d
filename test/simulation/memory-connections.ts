import type { ConnectionRecord } from '../../src/broker/records.ts';
import type { Connections, Tokens } from '../../src/broker/store.ts';
import { credentialColumns, healthy, type Tables } from './memory-tables.ts';

/** What else happens to a connection while it is refreshed. A link that it finishes is always there to be finished. */
export type MemoryConnections = Pick<Connections, 'insert' | 'get' | 'renew' | 'setMetadata' | 'requireReauthorization' | 'remove'>;

export function memoryConnections(tables: Tables): MemoryConnections {
  const { outside, living, change } = tables;
  return {
    async insert({ times, credential_sealed, scopes, missing_scopes, extras, refreshable, ...rest }, _link, events) {
      const now = outside.now();
      const row: ConnectionRecord = {
        ...rest,
        ...healthy,
        ...credentialColumns(tables, { times, credential_sealed, scopes, missing_scopes, extras, refreshable }),
        end_user_id: rest.end_user.id,
        organization_id: rest.end_user.organization_id ?? null,
        token_version: 1,
        last_refreshed_at: null,
        refresh_count: 0,
        last_used_at: null,
        probe_due_at: null,
        created_at: now,
        updated_at: now,
        deleted_at: null,
      };
      tables.connections.set(row.id, row);
      tables.write(events);
      return row;
    },
    get: async (project, id) => living(id, project),
    async renew(project, id, version, { times, credential_sealed, scopes, missing_scopes, extras, refreshable, ...rest }, _link, events) {
      const row = living(id, project);
      if (row?.token_version !== version) return undefined;
      const renewed = change(
        'renew',
        row,
        {
          ...rest,
          ...credentialColumns(tables, { times, credential_sealed, scopes, missing_scopes, extras, refreshable }),
          ...healthy,
          token_version: version + 1,
          updated_at: outside.now(),
        },
        events,
      );
      outside.notify(id);
      return renewed;
    },
    async setMetadata(project, id, metadata) {
      const row = living(id, project);
      return row && change('metadata', row, { metadata, updated_at: outside.now() });
    },
    async requireReauthorization(project, id, reason, events) {
      const row = living(id, project);
      if (row === undefined) return false;
      const patch = {
        status: 'reauthorization_required',
        reason,
        reason_since: outside.now(),
        refresh_due_at: null,
        put_off_since: null,
        refresh_lease: null,
        lease_until: null,
        updated_at: outside.now(),
      } as const;
      change('stop', row, patch, events);
      outside.notify(id);
      return true;
    },
    async remove(project, id, _revoke, events) {
      const row = living(id, project);
      if (row === undefined) return false;
      const patch = {
        deleted_at: outside.now(),
        status: 'revoked',
        end_user: { id: '' },
        end_user_id: '',
        organization_id: null,
        account: null,
        last_error: null,
        credential_sealed: null,
        inputs_sealed: null,
        refresh_due_at: null,
        put_off_since: null,
        refresh_lease: null,
        lease_until: null,
        extras: {},
        metadata: {},
        updated_at: outside.now(),
      } as const;
      for (const key of [...tables.intents.keys()]) if (key.startsWith(`${id}/`)) tables.intents.delete(key);
      change('remove', row, patch, events);
      return true;
    },
  };
}

export const memoryTokens = ({ outside, living, integrations, definitions }: Tables): Pick<Tokens, 'byProject'> => ({
  async byProject(project, id) {
    const row = living(id, project);
    if (row === undefined) return undefined;
    const own = definitions.find((each) => each.project_id === project && each.provider_id === row.provider_id && each.current);
    return { ...row, now: outside.now(), own_version: own?.version ?? null, client_id: integrations.get(row.integration_id)?.client_id ?? '' };
  },
});
