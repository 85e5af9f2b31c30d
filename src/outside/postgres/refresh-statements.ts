import { durablyText } from './durable.ts';
import { eventColumns, eventWrites } from './events.ts';

/**
 * The statements of the refresh engine, each for a list of connections: refreshes of one process that are at the same step share one.
 * Rows are locked in the order of the list, which is that of their ids, or passed over when somebody else has them, so that two such
 * statements never wait for each other. `lateral` makes each row a look-up by its key, whatever the planner believes of the tables.
 *
 * Two things are for the planner alone. `unnest((select $1))`: it cannot see how long the list is, so that the plan it keeps looks no dearer
 * than a new one each time, whose making costs Postgres as much as the rest. `is not distinct from`: an id alone finds its row; an equal
 * project beside it may lead to another index, all of which is read while the table has no statistics.
 */

/** Longer than any call of the provider may take (10 s), so that two never hold a version at once. */
const leaseS = 45;
/** After a restart of Postgres, a process that holds a credential it could not save comes first. */
const graceS = 5;

export const readText = `
  select q.n::int as n, c.*, now() as read_at, v.version as own_version, to_jsonb(i.*) as integration
  from unnest((select $1::text[])) with ordinality as q(id, n)
  join connections c on c.id = q.id and c.deleted_at is null
  left join integrations i on i.project_id = c.project_id and i.id = c.integration_id
  left join provider_versions v on v.project_id = c.project_id and v.provider_id = c.provider_id and v.current`;

/**
 * The lease is taken and the intent on the disk before anything is sent. An intent of this version whose outcome nobody knows makes
 * this attempt an ambiguous one.
 */
export const claimText = `
  with asked as (
    select * from unnest((select $1::text[]), $2::text[], $3::int[], $4::uuid[], $5::int[]) with ordinality as q(id, project_id, token_version, lease, failures, n)),
  free as (
    select f.id, q.lease, q.n from asked q cross join lateral (
      select c.id from connections c
      where c.id = q.id and c.project_id is not distinct from q.project_id and c.token_version = q.token_version and c.failure_count = q.failures
        and c.deleted_at is null and c.status in ('active', 'refresh_failing')
        and (c.lease_until is null or (c.lease_until < now() and pg_postmaster_start_time() < now() - interval '${graceS} seconds'))
      for update skip locked) f),
  claimed as (
    update connections c set refresh_lease = free.lease, lease_until = now() + make_interval(secs => ${leaseS})
    from free where c.id = free.id
    returning c.id, c.token_version, c.refresh_lease, free.n),
  intent as (
    insert into refresh_intents as r (connection_id, token_version, lease, outcome)
    select id, token_version, refresh_lease, 'sent' from claimed
    on conflict (connection_id) do update
      set token_version = excluded.token_version, lease = excluded.lease, outcome = 'sent', sent_at = now(),
        attempts = case when r.token_version = excluded.token_version then r.attempts + 1 else 1 end,
        ambiguous = r.token_version = excluded.token_version and (r.ambiguous or r.outcome = 'sent')
    returning connection_id, ambiguous)
  select claimed.n::int as n, intent.ambiguous from claimed join intent on intent.connection_id = claimed.id
  where ${durablyText}`;

/** Seconds after the request become an instant, counted back by how long ago it was sent. */
const since = (seconds: string) => `case when q.${seconds} is null then null else now() + make_interval(secs => q.${seconds} - q.age_s) end`;

/**
 * The fence is the version alone: a late answer is saved even when the lease has passed, as long as nobody else was first. Refusals of
 * the old refresh token say nothing once the new one has arrived; every other stop holds. The events go with it in the same statement.
 */
export const commitText = `
  with asked as (
    select * from json_to_recordset($1::json) as q(n int, id text, token_version int, lease uuid, credential_sealed text, scopes text[], missing_scopes text[], extras jsonb,
      refreshable boolean, age_s float8, lifetime_s float8, refresh_lifetime_s float8, due_s float8)),
  held as (
    select h.id, h.old_status, q.n from asked q cross join lateral (
      select c.id, c.status as old_status from connections c
      where c.id = q.id and c.token_version = q.token_version and c.deleted_at is null and c.status <> 'revoked'
        and not (c.status = 'reauthorization_required' and c.reason is distinct from 'invalid_grant' and c.reason is distinct from 'crash_during_rotation')
      for update) h),
  saved as (
    update connections c set
      credential_sealed = q.credential_sealed, scopes = q.scopes, missing_scopes = q.missing_scopes, extras = q.extras, refreshable = q.refreshable,
      issued_at = now() - make_interval(secs => q.age_s), expires_at = ${since('lifetime_s')}, refresh_expires_at = ${since('refresh_lifetime_s')},
      refresh_due_at = ${since('due_s')}, queued_until = null, put_off_since = null, refresh_lease = null, lease_until = null, retry_at = null,
      status = 'active', reason = null, reason_since = null, failure_count = 0, failing_since = null, last_error = null,
      token_version = c.token_version + 1, last_refreshed_at = now(), refresh_count = c.refresh_count + 1, updated_at = now()
    from held join asked q on q.n = held.n
    where c.id = held.id and c.token_version = q.token_version
    returning q.n, c.id, c.issued_at, c.expires_at, c.refresh_expires_at, c.refresh_due_at, c.last_refreshed_at, c.refresh_count, c.updated_at, c.metadata),
  intents as (
    update refresh_intents r set outcome = 'refreshed', lease = q.lease
    from asked q join saved on saved.n = q.n
    where r.connection_id = q.id and r.token_version = q.token_version),
  news as (
    select e.* from json_to_recordset($2::json) as e(n int, recovers boolean, ${eventColumns})
    join saved on saved.n = e.n join held on held.n = e.n where not e.recovers or held.old_status <> 'active'),
  ${eventWrites('news')}
  select * from saved where ${durablyText}`;

/** Wakes who waits. Apart from the commit: a transaction that notifies commits alone, with its flush to the disk. */
export const wakeText = `select pg_notify('grantry_refresh', id) from unnest($1::text[]) as q(id)`;

/** What is due and not in the queue. Rows that the queue has are passed over; they are few, for a full queue takes no more. */
const handedOut = 'refresh_due_at is not null and refresh_due_at <= now() and queued_until > now()';

export const dueText = `
  update connections c set queued_until = now() + make_interval(secs => $2::float8)
  where c.id = any (array(
    select id from connections
    where refresh_due_at is not null and refresh_due_at <= now() and (queued_until is null or queued_until <= now())
    order by refresh_due_at limit $1
    for update skip locked))
  returning c.id as connection_id, c.token_version`;

/** What is in the queue, or put off, is due all the same, and has been since it was due at first. */
export const countsText = `
  select count(*)::int as due, count(*) filter (where since < now() - interval '1 minute')::int as overdue,
    coalesce(extract(epoch from now() - min(since)), 0)::float8 as "oldestOverdueS"
  from (
    select refresh_due_at as since from connections where refresh_due_at is not null and refresh_due_at <= now() and put_off_since is null
    union all
    select put_off_since from connections where put_off_since is not null) waiting`;

/**
 * What is put off leaves the head of the line: the sweep would find it there each time, before all that it could hand out. The lease says
 * that somebody is at it: he decides what comes next. What is no longer due was decided by somebody else.
 */
export const postponeText = `
  with asked as (select * from unnest((select $1::text[]), $2::int[], $3::float8[]) as q(id, token_version, seconds)),
  free as (
    select f.id, q.seconds from asked q cross join lateral (
      select c.id from connections c
      where c.id = q.id and c.token_version = q.token_version and c.refresh_due_at <= now() and (c.lease_until is null or c.lease_until < now())
      for update skip locked) f)
  update connections c set refresh_due_at = now() + make_interval(secs => free.seconds), queued_until = null,
    put_off_since = coalesce(c.put_off_since, c.refresh_due_at)
  from free where c.id = free.id`;

export const handOutAgainText = `
  update connections c set queued_until = null
  where c.id = any (array(select id from connections where ${handedOut} for update skip locked))`;
