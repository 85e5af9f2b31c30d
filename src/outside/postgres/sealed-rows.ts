import type pg from 'pg';
import type { RowHeads, SealedRow, SealedRows, SealedTable } from '../../broker/key-records.ts';

/** Goes through whatever is sealed, table by table, in the order of the primary keys. Names of tables and columns are our own. */

type Shape = { key: readonly string[]; version: string; sealed: readonly string[] };

/** A test holds this against the tables. */
export const sealedShapes: Readonly<Record<SealedTable, Shape>> = {
  connections: { key: ['id'], version: 'token_version', sealed: ['credential_sealed', 'inputs_sealed'] },
  integrations: {
    key: ['project_id', 'id'],
    version: 'secret_version',
    sealed: ['client_secret_sealed', 'further_secrets_sealed', 'private_key_sealed', 'inputs_sealed'],
  },
  webhook_endpoints: { key: ['id'], version: 'secret_version', sealed: ['secrets_sealed'] },
  connect_links: { key: ['id'], version: 'attempt', sealed: ['pending_sealed', 'answer_sealed', 'inputs_sealed'] },
  revocations: { key: ['connection_id'], version: 'token_version', sealed: ['credential_sealed', 'inputs_sealed'] },
  idempotency_keys: { key: ['project_id', 'caller', 'key'], version: '0', sealed: ['answer_sealed'] },
};

/** Longer than any head of ours: a damaged text need not be sent as a whole. */
const mostHead = 300;
const headOf = (column: string) => `left(split_part(${column}, '.', 1), ${mostHead})`;
const list = (items: readonly string[]) => items.join(', ');
/** `$from`, `$from+1`, ... */
const numbered = (count: number, from: number, cast = '') => Array.from({ length: count }, (_, n) => `$${from + n}${cast}`);
const columnsOf = (keys: readonly (readonly string[])[], width: number) => Array.from({ length: width }, (_, n) => keys.map((key) => key[n]));

export function sealedRowsStore(pool: Pick<pg.Pool, 'query'>): SealedRows {
  return {
    async count(table) {
      const { rows } = await pool.query<{ count: number }>(`select count(*)::int as count from ${table}`);
      return rows[0]?.count ?? 0;
    },
    async heads(table, after, limit) {
      const { key, sealed } = sealedShapes[table];
      const from = after === null ? '' : `where (${list(key)}) > (${list(numbered(key.length, 2))})`;
      const { rows } = await pool.query<RowHeads>(
        `select array[${list(key)}] as key, array[${list(sealed.map(headOf))}] as heads from ${table} ${from} order by ${list(key)} limit $1`,
        [limit, ...(after ?? [])],
      );
      return rows;
    },
    async read(table, keys) {
      const { key, sealed, version } = sealedShapes[table];
      const { rows } = await pool.query<{ key: string[]; project_id: string; version: number; sealed: (string | null)[] }>(
        `select array[${list(key.map((each) => `t.${each}`))}] as key, t.project_id, ${version} as version, array[${list(sealed)}] as sealed
         from unnest(${list(numbered(key.length, 1, '::text[]'))}) with ordinality as q(${list([...key, 'n'].map((each) => `q_${each}`))})
         join ${table} t on ${key.map((each) => `t.${each} = q_${each}`).join(' and ')} order by q_n`,
        columnsOf(keys, key.length),
      );
      return rows.map((row): SealedRow => ({ ...row, sealed: Object.fromEntries(sealed.map((column, n) => [column, row.sealed[n] ?? null])) }));
    },
    // Rows are locked in the order of the list, as other statements for several rows do; what has changed meanwhile is passed over.
    async replace(table, changes) {
      const { key, sealed } = sealedShapes[table];
      const names = key.map((each) => `q_${each}`);
      let replaced = 0;
      for (const column of sealed) {
        const mine = changes.filter((change) => change.column === column);
        if (mine.length === 0) continue;
        const { rowCount } = await pool.query(
          `with asked as (
             select * from unnest(${list(numbered(key.length + 2, 1, '::text[]'))}) with ordinality as q(${list([...names, 'old', 'new', 'n'])})),
           held as (
             select q.*, h.* from asked q cross join lateral (
               select ${list(key)} from ${table} t where ${key.map((each) => `t.${each} = q.q_${each}`).join(' and ')} and t.${column} = q.old for update of t) h)
           update ${table} t set ${column} = held.new from held where ${key.map((each) => `t.${each} = held.q_${each}`).join(' and ')} and t.${column} = held.old`,
          [
            ...columnsOf(
              mine.map((change) => change.key),
              key.length,
            ),
            mine.map(({ from }) => from),
            mine.map(({ to }) => to),
          ],
        );
        replaced += rowCount ?? 0;
      }
      return replaced;
    },
    async countByHead(table) {
      const each = sealedShapes[table].sealed.map((column) => `select ${headOf(column)} as head from ${table} where ${column} is not null`);
      const { rows } = await pool.query<{ head: string; count: number }>(
        `select head, count(*)::int as count from (${each.join(' union all ')}) heads group by head`,
      );
      return rows;
    },
  };
}
