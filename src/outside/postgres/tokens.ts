import type pg from 'pg';
import type { FoundKey, TokenRow, Tokens } from '../../broker/store.ts';

/**
 * The token path, written by hand: one named statement, prepared once per connection of the pool, finds the key and the
 * connection together. Nothing is written.
 */

const joined = `
  left join integrations i on i.project_id = c.project_id and i.id = c.integration_id
  left join provider_versions v on v.project_id = c.project_id and v.provider_id = c.provider_id and v.current`;
const columns = `c.*, coalesce(i.client_id, '') as client_id, v.version as own_version, now() as now`;

const byKey = {
  name: 'token_by_key',
  text: `select k.id as key_id, k.project_id as key_project_id, k.name as key_name, k.key_hash as key_hash, k.scopes as key_scopes,
      k.expires_at as key_expires_at, k.created_at as key_created_at, coalesce(k.expires_at <= now(), false) as key_expired, ${columns}
    from api_keys k
    left join connections c on c.id = $2 and c.project_id = k.project_id and c.deleted_at is null ${joined}
    where k.key_hash = $1`,
};
const byProject = {
  name: 'token_by_project',
  text: `select ${columns} from connections c ${joined} where c.id = $2 and c.project_id = $1 and c.deleted_at is null`,
};

type KeyColumns = {
  key_id: string;
  key_project_id: string;
  key_name: string;
  key_hash: Buffer;
  key_scopes: string[];
  key_expires_at: Date | null;
  key_created_at: Date;
  key_expired: boolean;
};

export function tokenStore(pool: pg.Pool): Tokens {
  return {
    async byKey(keyHash, connectionId) {
      const { rows } = await pool.query<KeyColumns & TokenRow>({ ...byKey, values: [keyHash, connectionId] });
      const row = rows[0];
      if (row === undefined) return undefined;
      const key: FoundKey = {
        id: row.key_id,
        project_id: row.key_project_id,
        name: row.key_name,
        key_hash: row.key_hash,
        scopes: row.key_scopes,
        expires_at: row.key_expires_at,
        created_at: row.key_created_at,
        expired: row.key_expired,
      };
      return { key, connection: row.id === null ? undefined : row };
    },
    async byProject(project, connectionId) {
      const { rows } = await pool.query<TokenRow>({ ...byProject, values: [project, connectionId] });
      return rows[0];
    },
  };
}
