import type pg from 'pg';
import type { Integrations } from '../../broker/store.ts';

/**
 * Whether another connection was refused with a registration since it was changed, and no credential of the integration is younger than the
 * last such refusal: whatever brought one (a refresh, a flow) had the registration accepted. An import counts for one too, which is not so;
 * then the next refusal tells. No index has when a credential was issued, for each refresh would have to write to it: so only the youngest
 * connections are looked at. Where there are more, a wrong secret is noticed some refusals later.
 *
 * `between` is for the planner alone: for an equal integration it may go by the id, through all the younger connections of others.
 */
export const refusedElsewhereText = `
  with youngest as (
    select c.id, c.status, c.last_error, c.issued_at from connections c
    where c.project_id = $1 and c.integration_id between $2 and $2 and c.deleted_at is null
    order by c.integration_id desc, c.id desc limit 2000)
  select coalesce(max((last_error ->> 'at')::timestamptz) filter (
      where status = 'refresh_failing' and last_error ->> 'code' = 'invalid_client' and (last_error ->> 'at')::timestamptz > $3::timestamptz and id <> $4)
    >= max(issued_at), false) as refused
  from youngest`;

export const refusedElsewhere =
  (pool: Pick<pg.Pool, 'query'>): Integrations['isRefusedElsewhere'] =>
  async ({ project_id, id, updated_at }, connection) => {
    const { rows } = await pool.query<{ refused: boolean }>(refusedElsewhereText, [project_id, id, updated_at, connection ?? '']);
    return rows[0]?.refused ?? false;
  };
