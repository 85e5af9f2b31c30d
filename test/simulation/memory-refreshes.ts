import type { ConnectionRecord } from '../../src/broker/records.ts';
import type { Refreshes } from '../../src/broker/store.ts';
import { credentialColumns, healthy, intentKey, type Tables } from './memory-tables.ts';

/** The refresh engine's part of the memory store, statement by statement as Postgres has it. */

const leaseS = 45;
const graceMs = 5_000;
const reversible = new Set<string | null>(['invalid_grant', 'crash_during_rotation']);

export function memoryRefreshes(tables: Tables): Refreshes {
  const { outside, intents, inS, change, living } = tables;
  const nowMs = () => outside.now().getTime();
  const isPast = (at: Date | null): boolean => at !== null && at.getTime() < nowMs();
  const isDue = ({ refresh_due_at }: ConnectionRecord): boolean => refresh_due_at !== null && refresh_due_at.getTime() <= nowMs();
  const isHandedOut = ({ queued_until }: ConnectionRecord): boolean => queued_until !== null && queued_until.getTime() > nowMs();
  const rowsThat = (holds: (row: ConnectionRecord) => boolean) => [...tables.connections.values()].filter(holds);
  const dueSinceMs = ({ refresh_due_at, put_off_since }: ConnectionRecord): number => (put_off_since ?? refresh_due_at)?.getTime() ?? nowMs();

  return {
    async read(id) {
      const connection = living(id);
      if (connection === undefined) return undefined;
      const integration = tables.integrations.get(connection.integration_id);
      const own = tables.definitions.find(
        (each) => each.project_id === connection.project_id && each.provider_id === connection.provider_id && each.current,
      );
      return { connection, integration, ownVersion: own?.version ?? null, now: outside.now() };
    },
    async due(limit, holdS) {
      return rowsThat((row) => isDue(row) && !isHandedOut(row))
        .sort((a, b) => Number(a.refresh_due_at) - Number(b.refresh_due_at))
        .slice(0, limit)
        .map((row) => {
          change('hand_out', row, { queued_until: inS(holdS) });
          return { connection_id: row.id, token_version: row.token_version };
        });
    },
    async postpone({ connection_id, token_version }, ms) {
      const row = tables.connections.get(connection_id);
      if (row === undefined || row.token_version !== token_version || !isDue(row)) return;
      if (row.lease_until !== null && !isPast(row.lease_until)) return;
      change('put_off', row, { refresh_due_at: inS(ms / 1000), queued_until: null, put_off_since: row.put_off_since ?? row.refresh_due_at });
    },
    async handOutAgain() {
      for (const row of rowsThat((each) => isDue(each) && isHandedOut(each))) change('hand_out', row, { queued_until: null });
    },
    async counts() {
      const late = rowsThat((row) => isDue(row) || row.put_off_since !== null).map((row) => nowMs() - dueSinceMs(row));
      return { due: late.length, overdue: late.filter((ms) => ms > 60_000).length, oldestOverdueS: Math.max(0, ...late) / 1000 };
    },
    async claim(connection, lease) {
      const row = living(connection.id, connection.project_id);
      if (row === undefined || row.token_version !== connection.token_version || row.failure_count !== connection.failure_count) return undefined;
      if (row.status !== 'active' && row.status !== 'refresh_failing') return undefined;
      const isFree = row.lease_until === null || (isPast(row.lease_until) && outside.startedAt().getTime() < nowMs() - graceMs);
      if (!isFree) return undefined;
      const key = intentKey(row.id, row.token_version);
      const old = intents.get(key);
      const ambiguous = old !== undefined && (old.ambiguous || old.outcome === 'sent');
      intents.set(key, { lease, attempts: (old?.attempts ?? 0) + 1, outcome: 'sent', ambiguous });
      change('claim', row, { refresh_lease: lease, lease_until: inS(leaseS) });
      return { connection, lease, ambiguous };
    },
    async commit({ connection, lease }, next, events, recovered) {
      const row = living(connection.id);
      if (row === undefined || row.token_version !== connection.token_version || row.status === 'revoked') return undefined;
      if (row.status === 'reauthorization_required' && !reversible.has(row.reason)) return undefined;
      const saved = change(
        'commit',
        row,
        {
          ...credentialColumns(tables, next),
          ...healthy,
          token_version: row.token_version + 1,
          last_refreshed_at: outside.now(),
          refresh_count: row.refresh_count + 1,
          updated_at: outside.now(),
        },
        row.status === 'active' ? events : [...events, recovered],
      );
      const intent = intents.get(intentKey(row.id, row.token_version));
      if (intent !== undefined) intents.set(intentKey(row.id, row.token_version), { ...intent, outcome: 'refreshed', lease });
      outside.notify(row.id);
      return saved;
    },
    async fail({ connection, lease }, { outcome, status, reason, error, retryInS }, events) {
      const row = living(connection.id);
      if (row === undefined || row.token_version !== connection.token_version || row.refresh_lease !== lease) return false;
      const retryAt = retryInS === null ? null : inS(retryInS);
      change(
        'fail',
        row,
        {
          status,
          reason,
          reason_since: reason === null ? null : outside.now(),
          queued_until: null,
          put_off_since: null,
          refresh_lease: null,
          lease_until: null,
          failure_count: row.failure_count + 1,
          failing_since: row.failing_since ?? outside.now(),
          retry_at: retryAt,
          refresh_due_at: retryAt,
          last_error: { ...error, at: outside.now().toISOString() },
          updated_at: outside.now(),
        },
        events,
      );
      const intent = intents.get(intentKey(row.id, row.token_version));
      if (intent?.lease === lease) intents.set(intentKey(row.id, row.token_version), { ...intent, outcome });
      outside.notify(row.id);
      return true;
    },
  };
}
