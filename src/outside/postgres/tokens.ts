import type pg from 'pg';
import type { FoundKey, TokenLookup, TokenRow, Tokens } from '../../broker/store.ts';
import { gather } from '../gathered.ts';

/**
 * The token path, written by hand. One named statement, prepared once per connection of the pool, finds key and connection
 * together; lookups that arrive while others are under way share one. Nothing is written. Instants come as milliseconds and
 * lists as JSON, because pg's own parsers of both cost more than the rest of the row. What is for the planner alone is explained in
 * refresh-statements.ts.
 */

const ms = (column: string) => `(extract(epoch from c.${column}) * 1000)::float8`;
const connectionColumns = `c.id, c.project_id, c.integration_id, c.provider_id, c.method, c.end_user_id, c.status, c.reason, ${ms('reason_since')} as reason_since,
  json_build_array(c.missing_scopes, c.scopes, c.extras, c.last_error) as json, c.credential_sealed, c.token_version, ${ms('issued_at')} as issued_at,
  ${ms('expires_at')} as expires_at, c.refreshable, ${ms('retry_at')} as retry_at, ${ms('failing_since')} as failing_since,
  c.failure_count, ${ms('updated_at')} as updated_at,
  (extract(epoch from now()) * 1000)::float8 as now, i.client_id, v.version as own_version`;
const connectionJoins = `
  left join integrations i on i.project_id = c.project_id and i.id = c.integration_id
  left join provider_versions v on v.project_id = c.project_id and v.provider_id = c.provider_id and v.current`;
const keyColumns = `k.id as key_id, k.project_id as key_project_id, k.name as key_name, k.key_hash, k.scopes as key_scopes, k.limits as key_limits, k.expires_at as key_expires_at,
  k.created_at as key_created_at, coalesce(k.expires_at <= now(), false) as key_expired`;
const ofKey = `left join connections c on c.id = q.con and c.project_id is not distinct from k.project_id and c.deleted_at is null ${connectionJoins}`;

const single = {
  name: 'token_by_key',
  text: `select ${keyColumns}, ${connectionColumns} from (select $2::text as con) q join api_keys k on k.key_hash = $1 ${ofKey}`,
};
const several = {
  name: 'tokens_by_key',
  text: `select q.n::int as n, ${keyColumns}, ${connectionColumns}
    from unnest((select $1::bytea[]), $2::text[]) with ordinality as q(hash, con, n) join api_keys k on k.key_hash = q.hash ${ofKey}`,
};
const byProject = {
  name: 'token_by_project',
  text: `select ${connectionColumns} from connections c ${connectionJoins} where c.id = $2 and c.project_id is not distinct from $1 and c.deleted_at is null`,
};

type Json = [TokenRow['missing_scopes'], TokenRow['scopes'], TokenRow['extras'], TokenRow['last_error']];
type Times = 'reason_since' | 'issued_at' | 'expires_at' | 'retry_at' | 'failing_since' | 'updated_at' | 'now';
type ConnectionColumns = Omit<TokenRow, Times | 'missing_scopes' | 'scopes' | 'extras' | 'last_error' | 'client_id'> & {
  reason_since: number | null;
  issued_at: number;
  expires_at: number | null;
  retry_at: number | null;
  failing_since: number | null;
  updated_at: number;
  now: number;
  json: Json;
  client_id: string | null;
};
type KeyColumns = {
  key_id: string;
  key_project_id: string;
  key_name: string;
  key_hash: Buffer;
  key_scopes: string[];
  key_limits: FoundKey['limits'];
  key_expires_at: Date | null;
  key_created_at: Date;
  key_expired: boolean;
};
/** The connection's columns are all null when there is none. */
type Found = KeyColumns & (ConnectionColumns | { id: null });

const dateOf = (epochMs: number | null): Date | null => (epochMs === null ? null : new Date(epochMs));

function rowOf(row: ConnectionColumns): TokenRow {
  const [missing_scopes, scopes, extras, last_error] = row.json;
  return {
    id: row.id,
    project_id: row.project_id,
    integration_id: row.integration_id,
    provider_id: row.provider_id,
    method: row.method,
    end_user_id: row.end_user_id,
    status: row.status,
    reason: row.reason,
    reason_since: dateOf(row.reason_since),
    missing_scopes,
    scopes,
    extras,
    last_error,
    credential_sealed: row.credential_sealed,
    token_version: row.token_version,
    issued_at: new Date(row.issued_at),
    expires_at: dateOf(row.expires_at),
    refreshable: row.refreshable,
    retry_at: dateOf(row.retry_at),
    failing_since: dateOf(row.failing_since),
    failure_count: row.failure_count,
    updated_at: new Date(row.updated_at),
    now: new Date(row.now),
    own_version: row.own_version,
    client_id: row.client_id ?? '',
  };
}

function lookupOf(row: Found): TokenLookup {
  const key: FoundKey = {
    id: row.key_id,
    project_id: row.key_project_id,
    name: row.key_name,
    key_hash: row.key_hash,
    scopes: row.key_scopes,
    limits: row.key_limits,
    expires_at: row.key_expires_at,
    created_at: row.key_created_at,
    expired: row.key_expired,
  };
  return { key, connection: row.id === null ? undefined : rowOf(row) };
}

type Asked = { hash: Buffer; connection: string };

/** One list at a time is fastest; a statement that hangs must not hold up the rest. */
const sharing = { most: 100, slowMs: 20, lanes: 6 };

export function tokenStore(pool: Pick<pg.Pool, 'query'>): Tokens {
  async function lookUp(asked: readonly Asked[]): Promise<(TokenLookup | undefined)[]> {
    const [only] = asked;
    if (only !== undefined && asked.length === 1) {
      const { rows } = await pool.query<Found>({ ...single, values: [only.hash, only.connection] });
      return [rows[0] && lookupOf(rows[0])];
    }
    const found: (TokenLookup | undefined)[] = asked.map(() => undefined);
    const { rows } = await pool.query<Found & { n: number }>({
      ...several,
      values: [asked.map(({ hash }) => hash), asked.map(({ connection }) => connection)],
    });
    for (const row of rows) found[row.n - 1] = lookupOf(row);
    return found;
  }
  const gathered = gather(lookUp, sharing);
  return {
    byKey: (hash, connection) => gathered({ hash, connection }),
    async byProject(project, connectionId) {
      const { rows } = await pool.query<ConnectionColumns>({ ...byProject, values: [project, connectionId] });
      return rows[0] && rowOf(rows[0]);
    },
  };
}
