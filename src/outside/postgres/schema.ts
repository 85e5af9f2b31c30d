import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';
import type { AuditDetails, AuditEntry } from '../../broker/audit.ts';
import type { RotationKind, RotationPhase, Walk } from '../../broker/key-records.ts';
import type { EndUser, KeyLimits, LastError, LinkSnapshot, MadeBy, TestStep } from '../../broker/records.ts';
import type { DeliveryStatus } from '../../broker/webhook-records.ts';

/** Every table. Times are timestamptz and decided by Postgres's clock; `*_hash` is SHA-256; `*_sealed` is a JWE (see docs). */

const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' });
const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 });
const createdAt = () => time('created_at').notNull().defaultNow();

export const projects = pgTable('projects', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  /** Exact URLs that browsers may be sent back to. */
  return_urls: text('return_urls').array().notNull().default(sql`'{}'::text[]`),
  created_at: createdAt(),
});
const projectId = () =>
  text('project_id')
    .notNull()
    .references(() => projects.id);

/** Ids are not given twice: what still names a deleted project, here or in a log, never means another one. */
export const deletedProjects = pgTable('deleted_projects', { id: text('id').primaryKey(), deleted_at: time('deleted_at').notNull().defaultNow() });

export const apiKeys = pgTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    project_id: projectId(),
    name: text('name').notNull(),
    key_hash: bytea('key_hash').notNull(),
    scopes: text('scopes').array().notNull(),
    limits: jsonb('limits').$type<KeyLimits>(),
    expires_at: time('expires_at'),
    replaced_by: text('replaced_by'),
    /** To the minute; written in batches. */
    last_used_at: time('last_used_at'),
    created_at: createdAt(),
  },
  (t) => [uniqueIndex('api_keys_key_hash').on(t.key_hash), index('api_keys_project').on(t.project_id, t.id)],
);

export const settings = pgTable('settings', { name: text('name').primaryKey(), value: text('value').notNull() });

export const dataKeys = pgTable(
  'data_keys',
  {
    kid: text('kid').primaryKey(),
    project_id: projectId(),
    wrapped: text('wrapped').notNull(),
    /** Id of the master key that has wrapped it; empty: not known. */
    wrapped_by: text('wrapped_by').notNull().default(''),
    created_at: createdAt(),
    retired_at: time('retired_at'),
  },
  (t) => [uniqueIndex('data_keys_current').on(t.project_id).where(sql`${t.retired_at} is null`), index('data_keys_project').on(t.project_id)],
);

/** Changes of the keys: one that runs at most. */
export const keyRotations = pgTable(
  'key_rotations',
  {
    id: text('id').primaryKey(),
    kind: text('kind').notNull().$type<RotationKind>(),
    phase: text('phase').notNull().$type<RotationPhase>(),
    /** How far each table is. */
    walk: jsonb('walk').notNull().default({}).$type<Walk>(),
    /** Old data keys that something still needs. */
    kept: text('kept').array().notNull().default(sql`'{}'::text[]`),
    started_at: time('started_at').notNull().defaultNow(),
    keys_changed_at: time('keys_changed_at'),
    rows_begun_at: time('rows_begun_at'),
    finished_at: time('finished_at'),
    /** How many data keys it has destroyed. */
    destroyed: integer('destroyed').notNull().default(0),
    /** Why it does not get on. */
    problem: text('problem'),
    lease: text('lease'),
    lease_until: time('lease_until'),
  },
  (t) => [
    uniqueIndex('key_rotations_running').on(sql`(${t.finished_at} is null)`).where(sql`${t.finished_at} is null`),
    index('key_rotations_started').on(t.started_at),
  ],
);

/** Sealed fields that did not open when all rows were gone through last. */
export const damagedSecrets = pgTable(
  'damaged_secrets',
  {
    table_name: text('table_name').notNull(),
    /** The row's primary key; a list in JSON where it has several columns. */
    row_id: text('row_id').notNull(),
    field: text('field').notNull(),
    project_id: text('project_id').notNull(),
    found_at: time('found_at').notNull().defaultNow(),
    seen_at: time('seen_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.table_name, t.row_id, t.field] })],
);

export const providerVersions = pgTable(
  'provider_versions',
  {
    project_id: projectId(),
    provider_id: text('provider_id').notNull(),
    version: integer('version').notNull(),
    /** json, not jsonb: the order of the methods counts. */
    definition: json('definition').notNull(),
    /** As the admin wrote it: `extends` and comments included. */
    written: text('written').notNull().default(''),
    made_by: jsonb('made_by').$type<MadeBy>(),
    current: boolean('current').notNull(),
    created_at: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.project_id, t.provider_id, t.version] }),
    uniqueIndex('provider_versions_current').on(t.project_id, t.provider_id).where(sql`${t.current}`),
  ],
);

export const integrations = pgTable(
  'integrations',
  {
    project_id: projectId(),
    id: text('id').notNull(),
    provider_id: text('provider_id').notNull(),
    method: text('method').notNull(),
    client_id: text('client_id').notNull(),
    client_secret_sealed: text('client_secret_sealed'),
    /** A list of those that are tried after it, while a secret is being rotated at the provider. */
    further_secrets_sealed: text('further_secrets_sealed'),
    private_key_sealed: text('private_key_sealed'),
    inputs_sealed: text('inputs_sealed'),
    /** Bound into the ciphertexts above; grows with each change of one of them. */
    secret_version: integer('secret_version').notNull().default(1),
    scopes: text('scopes').array().notNull(),
    callback: text('callback').notNull().$type<'shared' | 'own'>(),
    /** 128-bit name of this project and integration in its own callback path. */
    context: text('context').notNull(),
    verification: text('verification').notNull().$type<'browser' | 'user'>(),
    status: text('status').notNull().default('active').$type<'active' | 'misconfigured'>(),
    /** While misconfigured: when one connection may try again for all of them. */
    trial_at: time('trial_at'),
    /** Connections that nobody has used for so long are probed; null: never. */
    probe_unused_after_s: integer('probe_unused_after_s'),
    created_at: createdAt(),
    updated_at: time('updated_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.project_id, t.id] }), uniqueIndex('integrations_context').on(t.context)],
);

export const connectLinks = pgTable(
  'connect_links',
  {
    id: text('id').primaryKey(),
    project_id: projectId(),
    integration_id: text('integration_id').notNull(),
    /** A test is an admin's own: it makes no connection and no event. */
    purpose: text('purpose').notNull().default('connect').$type<'connect' | 'test'>(),
    token_hash: bytea('token_hash').notNull(),
    status: text('status').notNull().$type<'pending' | 'opened' | 'authorizing' | 'confirming' | 'exchanging' | 'connected' | 'failed' | 'expired'>(),
    end_user: jsonb('end_user').notNull().$type<EndUser>(),
    return_url: text('return_url'),
    scopes: text('scopes').array().notNull(),
    inputs_sealed: text('inputs_sealed'),
    metadata: jsonb('metadata').notNull().$type<Record<string, unknown>>(),
    /** The connection that this link renews. */
    reconnects: text('reconnects'),
    verification: text('verification').notNull().$type<'browser' | 'user'>(),
    page: text('page').notNull().$type<'shown' | 'skipped'>(),
    endpoint: text('endpoint').notNull().$type<'authorization' | 'authentication'>(),
    /** json, not jsonb: the order of the methods counts. */
    snapshot: json('snapshot').notNull().$type<LinkSnapshot>(),
    redirect_uri: text('redirect_uri').notNull(),
    expires_at: time('expires_at').notNull(),
    created_at: createdAt(),
    browser_hash: bytea('browser_hash'),
    /** SHA-256 of the state now waited for; null once consumed. */
    state_hash: bytea('state_hash'),
    state_expires_at: time('state_expires_at'),
    /** Grows with each start; bound into pending_sealed and answer_sealed. */
    attempt: integer('attempt').notNull().default(0),
    pending_sealed: text('pending_sealed'),
    answer_sealed: text('answer_sealed'),
    nonce_hash: bytea('nonce_hash'),
    nonce_expires_at: time('nonce_expires_at'),
    connection_id: text('connection_id'),
    error_code: text('error_code'),
    error_detail: text('error_detail'),
    finished_at: time('finished_at'),
  },
  (t) => [
    uniqueIndex('connect_links_token').on(t.token_hash),
    uniqueIndex('connect_links_state').on(t.state_hash).where(sql`${t.state_hash} is not null`),
    index('connect_links_browser').on(t.browser_hash).where(sql`${t.state_hash} is not null`),
    index('connect_links_integration').on(t.project_id, t.integration_id),
    index('connect_links_unfinished').on(t.project_id, t.id).where(sql`${t.finished_at} is null`),
    index('connect_links_open').on(t.expires_at).where(sql`${t.finished_at} is null`),
    index('connect_links_finished').on(t.finished_at).where(sql`${t.finished_at} is not null`),
  ],
);

/** What happened in a test of an integration, step by step; secrets are masked before they come here. */
export const testSteps = pgTable(
  'test_steps',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    link_id: text('link_id')
      .notNull()
      .references(() => connectLinks.id, { onDelete: 'cascade' }),
    step: json('step').notNull().$type<TestStep>(),
    created_at: createdAt(),
  },
  (t) => [index('test_steps_link').on(t.link_id, t.id), index('test_steps_created').on(t.created_at)],
);

export const codeLedger = pgTable(
  'code_ledger',
  { code_hash: bytea('code_hash').primaryKey(), link_id: text('link_id').notNull(), seen_at: time('seen_at').notNull().defaultNow() },
  (t) => [index('code_ledger_seen').on(t.seen_at)],
);

export const connections = pgTable(
  'connections',
  {
    id: text('id').primaryKey(),
    project_id: projectId(),
    integration_id: text('integration_id').notNull(),
    provider_id: text('provider_id').notNull(),
    method: text('method').notNull(),
    end_user: jsonb('end_user').notNull().$type<EndUser>(),
    end_user_id: text('end_user_id').notNull(),
    organization_id: text('organization_id'),
    status: text('status').notNull().$type<'active' | 'refresh_failing' | 'reauthorization_required' | 'revoked'>(),
    /** Why reauthorization is required. */
    reason: text('reason'),
    reason_since: time('reason_since'),
    requested_scopes: text('requested_scopes').array().notNull(),
    scopes: text('scopes').array().notNull(),
    /** The requested ones that were not granted, by the definition's rules when the scopes were written. */
    missing_scopes: text('missing_scopes').array().notNull().default(sql`'{}'::text[]`),
    /** Null once erased. */
    credential_sealed: text('credential_sealed'),
    inputs_sealed: text('inputs_sealed'),
    /** One refresh per value, ever; bound into credential_sealed. */
    token_version: integer('token_version').notNull(),
    issued_at: time('issued_at').notNull(),
    expires_at: time('expires_at'),
    refresh_expires_at: time('refresh_expires_at'),
    refreshable: boolean('refreshable').notNull(),
    refresh_due_at: time('refresh_due_at'),
    /** The sweep has handed the due refresh to the queue, and looks at it again when this has passed. */
    queued_until: time('queued_until'),
    /** Of a refresh that was put off before anything was sent: when it was due at first. Null while none is put off. */
    put_off_since: time('put_off_since'),
    refresh_lease: uuid('refresh_lease'),
    lease_until: time('lease_until'),
    retry_at: time('retry_at'),
    failure_count: integer('failure_count').notNull().default(0),
    failing_since: time('failing_since'),
    last_error: jsonb('last_error').$type<LastError>(),
    last_refreshed_at: time('last_refreshed_at'),
    refresh_count: integer('refresh_count').notNull().default(0),
    metadata: jsonb('metadata').notNull().$type<Record<string, unknown>>(),
    extras: jsonb('extras').notNull().$type<Record<string, string>>(),
    account: text('account'),
    /** When a token was last handed out, to the hour. */
    last_used_at: time('last_used_at'),
    probe_due_at: time('probe_due_at'),
    created_at: createdAt(),
    updated_at: time('updated_at').notNull().defaultNow(),
    deleted_at: time('deleted_at'),
  },
  (t) => [
    index('connections_list').on(t.project_id, t.id).where(sql`${t.deleted_at} is null`),
    index('connections_end_user').on(t.project_id, t.end_user_id, t.id).where(sql`${t.deleted_at} is null`),
    index('connections_organization')
      .on(t.project_id, t.organization_id, t.id)
      .where(sql`${t.deleted_at} is null and ${t.organization_id} is not null`),
    index('connections_integration').on(t.project_id, t.integration_id, t.id).where(sql`${t.deleted_at} is null`),
    index('connections_ending')
      .on(t.expires_at)
      .where(sql`${t.deleted_at} is null and not ${t.refreshable} and ${t.status} = 'active' and ${t.expires_at} is not null`),
    // Not on queued_until too: what is in no index can be changed without touching one (the table has a fillfactor for that).
    index('connections_due').on(t.refresh_due_at).where(sql`${t.refresh_due_at} is not null`),
    // Only what is put off costs anything here; by integration, for that is what is put right.
    index('connections_put_off').on(t.project_id, t.integration_id, t.id).where(sql`${t.put_off_since} is not null`),
    index('connections_probe_due').on(t.probe_due_at).where(sql`${t.probe_due_at} is not null`),
    index('connections_ailing').on(t.project_id, t.status, t.id).where(sql`${t.deleted_at} is null and ${t.status} <> 'active'`),
    index('connections_deleted').on(t.deleted_at).where(sql`${t.deleted_at} is not null`),
  ],
);

/** The refresh of a connection that was about to be sent last: what a crash leaves behind. One of an earlier token_version says nothing any more. */
export const refreshIntents = pgTable('refresh_intents', {
  connection_id: text('connection_id')
    .primaryKey()
    .references(() => connections.id, { onDelete: 'cascade' }),
  token_version: integer('token_version').notNull(),
  lease: uuid('lease').notNull(),
  /** At this version. */
  attempts: integer('attempts').notNull().default(1),
  /** `sent` until an answer was understood; the answer's kind afterwards. */
  outcome: text('outcome').notNull().$type<'sent' | 'refreshed' | 'refused' | 'failed'>(),
  /** At this version, an attempt began while an earlier one had no known outcome. */
  ambiguous: boolean('ambiguous').notNull().default(false),
  sent_at: time('sent_at').notNull().defaultNow(),
});

/** Credentials of deleted connections that a provider still has to be told about. */
export const revocations = pgTable(
  'revocations',
  {
    connection_id: text('connection_id').primaryKey(),
    project_id: projectId(),
    integration_id: text('integration_id').notNull(),
    /** Bound to the connection's row and this version. */
    credential_sealed: text('credential_sealed').notNull(),
    inputs_sealed: text('inputs_sealed'),
    token_version: integer('token_version').notNull(),
    method: text('method').notNull(),
    extras: jsonb('extras').notNull().$type<Record<string, string>>(),
    attempts: integer('attempts').notNull().default(0),
    next_attempt_at: time('next_attempt_at').notNull().defaultNow(),
    created_at: createdAt(),
  },
  (t) => [index('revocations_due').on(t.next_attempt_at)],
);

export const events = pgTable(
  'events',
  {
    id: text('id').primaryKey(),
    project_id: projectId(),
    type: text('type').notNull(),
    integration_id: text('integration_id'),
    link_id: text('link_id'),
    connection_id: text('connection_id'),
    data: jsonb('data').notNull().$type<Record<string, unknown>>(),
    created_at: createdAt(),
  },
  (t) => [
    index('events_project').on(t.project_id, t.id),
    // Refreshes are nearly all of them: whoever looks for another type need not read past those.
    index('events_notable').on(t.project_id, t.type, t.id).where(sql`${t.type} <> 'connection.refreshed'`),
    index('events_connection').on(t.connection_id, t.id).where(sql`${t.connection_id} is not null`),
  ],
);

export const webhookEndpoints = pgTable(
  'webhook_endpoints',
  {
    id: text('id').primaryKey(),
    project_id: projectId(),
    url: text('url').notNull(),
    description: text('description'),
    /** Empty: every type. */
    event_types: text('event_types').array().notNull(),
    /** A list of base64 secrets, the one that signs first; bound to this row and secret_version. */
    secrets_sealed: text('secrets_sealed').notNull(),
    secret_version: integer('secret_version').notNull().default(1),
    /** Until when the second secret signs too. */
    previous_secret_until: time('previous_secret_until'),
    status: text('status').notNull().default('enabled').$type<'enabled' | 'disabled'>(),
    disabled_reason: text('disabled_reason'),
    /** Since when no delivery has succeeded; null while they do. */
    failing_since: time('failing_since'),
    created_at: createdAt(),
    updated_at: time('updated_at').notNull().defaultNow(),
  },
  (t) => [index('webhook_endpoints_project').on(t.project_id, t.id)],
);

/** The outbox of webhooks: a row per event and endpoint that wants it, written with the event. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: text('id').primaryKey(),
    project_id: projectId(),
    endpoint_id: text('endpoint_id')
      .notNull()
      .references(() => webhookEndpoints.id, { onDelete: 'cascade' }),
    event_id: text('event_id')
      .notNull()
      .references(() => events.id, { onDelete: 'cascade' }),
    event_type: text('event_type').notNull(),
    status: text('status').notNull().default('pending').$type<DeliveryStatus>(),
    attempts: integer('attempts').notNull().default(0),
    /** The first attempt of this round: retries end a day after it. */
    round_since: time('round_since').notNull().defaultNow(),
    next_attempt_at: time('next_attempt_at').defaultNow(),
    /** HTTP status of the last answer; null when none came. */
    last_status: integer('last_status'),
    last_error: text('last_error'),
    last_attempt_at: time('last_attempt_at'),
    delivered_at: time('delivered_at'),
    created_at: createdAt(),
  },
  (t) => [
    index('webhook_deliveries_due').on(t.next_attempt_at).where(sql`${t.next_attempt_at} is not null`),
    index('webhook_deliveries_project').on(t.project_id, t.id),
    // What is delivered never was in it.
    index('webhook_deliveries_failed').on(t.project_id, t.id).where(sql`${t.status} = 'failed'`),
    index('webhook_deliveries_endpoint').on(t.endpoint_id, t.id),
    index('webhook_deliveries_event').on(t.event_id),
  ],
);

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    project_id: projectId(),
    /** The API key that used it. */
    caller: text('caller').notNull(),
    key: text('key').notNull(),
    request_hash: bytea('request_hash').notNull(),
    status: integer('status'),
    answer_sealed: text('answer_sealed'),
    created_at: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.project_id, t.caller, t.key] }), index('idempotency_keys_created').on(t.created_at)],
);

/**
 * The chain: append only, which a trigger sees to (in the migration). No reference to the project: a row outlives what it tells of.
 * docs/audit.md says how it is hashed.
 */
export const auditLog = pgTable(
  'audit_log',
  {
    seq: bigint('seq', { mode: 'number' }).primaryKey(),
    at: time('at').notNull(),
    project_id: text('project_id'),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    target_type: text('target_type'),
    target_id: text('target_id'),
    address: text('address'),
    request_id: text('request_id'),
    details: jsonb('details').notNull().$type<AuditDetails>(),
    previous_hash: bytea('previous_hash').notNull(),
    hash: bytea('hash').notNull(),
  },
  (t) => [
    index('audit_log_project').on(t.project_id, t.seq),
    index('audit_log_target').on(t.target_id, t.seq).where(sql`${t.target_id} is not null`),
    index('audit_log_at').on(t.at),
  ],
);

/** What is to be chained: written with what it tells of, by whoever; taken by one process at a time. */
export const auditPending = pgTable(
  'audit_pending',
  {
    id: text('id').primaryKey(),
    entry: jsonb('entry').notNull().$type<Omit<AuditEntry, 'at'> & { at: string }>(),
    /** Of what is counted. */
    count: bigint('count', { mode: 'number' }),
    due_at: time('due_at').notNull(),
  },
  (t) => [index('audit_pending_due').on(t.due_at)],
);

export const rateCountsTable = 'rate_counts';
/** What rate-limiter-flexible counts where there is no Redis: its columns in its order, `expire` in milliseconds since 1970. Unlogged: a crash may forget it. */
export const rateCounts = pgTable(rateCountsTable, {
  key: varchar('key', { length: 255 }).primaryKey(),
  points: integer('points').notNull().default(0),
  expire: bigint('expire', { mode: 'number' }),
});
