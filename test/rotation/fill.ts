import type pg from 'pg';
import { newId } from '../../src/broker/ids.ts';
import type { Place, Seal } from '../../src/broker/seal.ts';

/** Many connections, each with a credential and inputs that are really sealed for it: copies of one that was made by a call. */

const atOnce = 1_000;

/** Their ids. The texts are those of the pattern, which has inputs. */
export async function fillConnections(pool: Pick<pg.Pool, 'query'>, seal: Seal, pattern: string, count: number): Promise<string[]> {
  const { rows } = await pool.query<
    Record<string, unknown> & { project_id: string; token_version: number; credential_sealed: string; inputs_sealed: string }
  >('select * from connections where id = $1', [pattern]);
  const [row] = rows;
  if (row === undefined) throw new Error('There is no pattern.');
  const placeOf = (id: string, field: string): Place => ({
    project: row.project_id,
    table: 'connections',
    row: id,
    field,
    version: field === 'inputs' ? 0 : row.token_version,
  });
  const text = await seal.open(placeOf(pattern, 'credential'), row.credential_sealed);
  const inputs = await seal.open(placeOf(pattern, 'inputs'), row.inputs_sealed);
  const own: Readonly<Record<string, string>> = { id: 'q.id', credential_sealed: 'q.credential', inputs_sealed: 'q.inputs' };
  const columns = Object.keys(row).map((name) => own[name] ?? `c.${name}`);
  const made: string[] = [];
  while (made.length < count) {
    const ids = Array.from({ length: Math.min(atOnce, count - made.length) }, () => newId('con'));
    const sealed = (field: string, plain: string) => Promise.all(ids.map((id) => seal.seal(placeOf(id, field), plain)));
    await pool.query(
      `insert into connections (${Object.keys(row).join(', ')}) select ${columns.join(', ')}
       from connections c, unnest($2::text[], $3::text[], $4::text[]) as q(id, credential, inputs) where c.id = $1`,
      [pattern, ids, await sealed('credential', text), await sealed('inputs', inputs)],
    );
    made.push(...ids);
  }
  return made;
}
