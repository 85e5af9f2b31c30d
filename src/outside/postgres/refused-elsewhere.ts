import { sql } from 'drizzle-orm';
import type { Integrations } from '../../broker/store.ts';
import type { Database } from './database.ts';

/**
 * Whether another connection was refused with a registration since it was changed, and no credential of the integration is younger than the
 * last such refusal: whatever brought one (a refresh, a flow) had the registration accepted. An import counts for one too, which is not so;
 * then the next refusal tells.
 */
export const refusedElsewhere =
  (db: Database): Integrations['isRefusedElsewhere'] =>
  async ({ project_id, id, updated_at }, connection) => {
    const { rows } = await db.execute<{ refused: boolean }>(sql`
      with refused as (
        select max((last_error ->> 'at')::timestamptz) as at from connections
        where project_id = ${project_id} and integration_id = ${id} and deleted_at is null and status = 'refresh_failing'
          and last_error ->> 'code' = 'invalid_client' and (last_error ->> 'at')::timestamptz > ${updated_at.toISOString()}::timestamptz
          and id <> ${connection ?? ''})
      select at is not null and not exists (
        select from connections c
        where c.project_id = ${project_id} and c.integration_id = ${id} and c.deleted_at is null and c.issued_at > refused.at) as refused
      from refused`);
    return rows[0]?.refused ?? false;
  };
