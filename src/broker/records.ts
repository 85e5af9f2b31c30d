import type { Definition } from '../protocol/definition/schema.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { ShownAnswer } from '../protocol/trace/shown-answer.ts';
import type { ShownRequest } from '../protocol/trace/shown-request.ts';

/** What the store keeps, as the use-cases see it. Sealed fields are ciphertext. */

export type EndUser = { id: string; email?: string | undefined; display_name?: string | undefined; organization_id?: string | undefined };

export type LastError = { code: string; at: string; retryable: boolean };

/** What a flow was begun with; later changes of the definition or the integration do not touch it. */
export type LinkSnapshot = {
  definition: Definition;
  /** Null for a shipped definition. */
  provider_version: number | null;
  method: string;
  client_id: string;
};

export type ProjectRecord = { id: string; name: string; return_urls: string[]; created_at: Date };

export type KeyScope = 'connect' | 'tokens' | 'admin';
export type ApiKeyRecord = {
  id: string;
  project_id: string;
  name: string;
  key_hash: Buffer;
  scopes: string[];
  /** Null: the whole project, from everywhere. */
  limits: KeyLimits | null;
  expires_at: Date | null;
  /** The key that took its place. */
  replaced_by: string | null;
  /** To the minute. */
  last_used_at: Date | null;
  created_at: Date;
};

/** What a key is limited to within its project; what is not named is not limited. */
export type KeyLimits = {
  integration?: string | undefined;
  end_user?: string | undefined;
  /** Ranges in CIDR notation that it may be used from. */
  addresses?: string[] | undefined;
};

/** Who wrote something: an API key as it was called then, or the holder of the root key. */
export type MadeBy = { id: string; name: string };

export type ProviderVersionRecord = {
  project_id: string;
  provider_id: string;
  version: number;
  /** Complete: `extends` is resolved and defaults are filled in. */
  definition: unknown;
  /** The text it was made from, YAML or JSON; empty when nobody wrote one. */
  written: string;
  made_by: MadeBy | null;
  current: boolean;
  created_at: Date;
};

export type IntegrationRecord = {
  project_id: string;
  id: string;
  provider_id: string;
  method: string;
  client_id: string;
  client_secret_sealed: string | null;
  further_secrets_sealed: string | null;
  private_key_sealed: string | null;
  inputs_sealed: string | null;
  secret_version: number;
  scopes: string[];
  callback: 'shared' | 'own';
  context: string;
  verification: 'browser' | 'user';
  status: 'active' | 'misconfigured';
  trial_at: Date | null;
  probe_unused_after_s: number | null;
  created_at: Date;
  updated_at: Date;
};

/** `exchanging` is shown to callers as `authorizing`: the one-time things are taken and the provider is being asked. */
export type LinkStatus = 'pending' | 'opened' | 'authorizing' | 'confirming' | 'exchanging' | 'connected' | 'failed' | 'expired';

export type LinkErrorCode = Extract<
  ErrorCode,
  | 'access_denied'
  | 'wrong_browser'
  | 'wrong_user'
  | 'redirect_mismatch'
  | 'issuer_mismatch'
  | 'code_replayed'
  | 'invalid_callback'
  | 'provider_error'
  | 'exchange_failed'
  | 'exchange_unknown'
  | 'account_mismatch'
  | 'link_expired'
>;

export type LinkRecord = {
  id: string;
  project_id: string;
  integration_id: string;
  purpose: 'connect' | 'test';
  token_hash: Buffer;
  status: LinkStatus;
  end_user: EndUser;
  return_url: string | null;
  scopes: string[];
  inputs_sealed: string | null;
  metadata: Record<string, unknown>;
  reconnects: string | null;
  verification: 'browser' | 'user';
  page: 'shown' | 'skipped';
  endpoint: 'authorization' | 'authentication';
  snapshot: LinkSnapshot;
  redirect_uri: string;
  expires_at: Date;
  created_at: Date;
  browser_hash: Buffer | null;
  state_hash: Buffer | null;
  state_expires_at: Date | null;
  attempt: number;
  pending_sealed: string | null;
  answer_sealed: string | null;
  nonce_hash: Buffer | null;
  nonce_expires_at: Date | null;
  connection_id: string | null;
  error_code: string | null;
  error_detail: string | null;
  finished_at: Date | null;
};

export const testStepNames = [
  'page',
  'authorization',
  'callback',
  'request_token',
  'token',
  'understood',
  'probe',
  'refresh',
  'presentation',
  'revocation',
] as const;

/** One step of the test of an integration. Nothing in it is secret. */
export type TestStep = {
  step: (typeof testStepNames)[number];
  outcome: 'ok' | 'failed' | 'skipped';
  /** What happened, in a sentence. */
  what: string;
  /** After a failure: what in the definition or the registration to look at. */
  look?: string;
  request?: ShownRequest;
  answer?: ShownAnswer;
  /** Of a callback: what was checked, in order, up to the first failure. */
  checks?: { check: string; outcome: 'ok' | 'failed' }[];
  /** Of a callback: its parameters, secrets masked. */
  parameters?: { name: string; value: string }[];
  understood?: Understood;
};

/** What was made of a token answer. */
export type Understood = {
  token_type: string;
  expires_in: number | null;
  refresh_token: boolean;
  refresh_expires_in: number | null;
  /** Whether it can be renewed without the end user. */
  refreshable: boolean;
  scopes: readonly string[];
  missing_scopes: readonly string[];
  extras: Readonly<Record<string, string>>;
};

export type TestStepRecord = { step: TestStep; created_at: Date };

export type ConnectionStatus = 'active' | 'refresh_failing' | 'reauthorization_required' | 'revoked';

export type ConnectionRecord = {
  id: string;
  project_id: string;
  integration_id: string;
  provider_id: string;
  method: string;
  end_user: EndUser;
  end_user_id: string;
  organization_id: string | null;
  status: ConnectionStatus;
  reason: string | null;
  reason_since: Date | null;
  requested_scopes: string[];
  scopes: string[];
  missing_scopes: string[];
  credential_sealed: string | null;
  inputs_sealed: string | null;
  token_version: number;
  issued_at: Date;
  expires_at: Date | null;
  refresh_expires_at: Date | null;
  refreshable: boolean;
  refresh_due_at: Date | null;
  queued_until: Date | null;
  put_off_since: Date | null;
  refresh_lease: string | null;
  lease_until: Date | null;
  retry_at: Date | null;
  failure_count: number;
  failing_since: Date | null;
  last_error: LastError | null;
  last_refreshed_at: Date | null;
  refresh_count: number;
  metadata: Record<string, unknown>;
  extras: Record<string, string>;
  account: string | null;
  last_used_at: Date | null;
  probe_due_at: Date | null;
  created_at: Date;
  updated_at: Date;
  deleted_at: Date | null;
};

export type RevocationRecord = {
  connection_id: string;
  project_id: string;
  integration_id: string;
  credential_sealed: string;
  inputs_sealed: string | null;
  token_version: number;
  method: string;
  extras: Record<string, string>;
  attempts: number;
  next_attempt_at: Date;
  created_at: Date;
};

export const eventTypes = [
  'connect_link.created',
  'connect_link.opened',
  'connect_link.authorizing',
  'connect_link.connected',
  'connect_link.failed',
  'connection.created',
  'connection.reconnected',
  'connection.refreshed',
  'connection.refresh_failing',
  'connection.recovered',
  'connection.reauthorization_required',
  'connection.revoked',
  'connection.revocation_failed',
  'connection.deleted',
  'integration.misconfigured',
  'integration.recovered',
  'webhook_endpoint.disabled',
] as const;
export type EventType = (typeof eventTypes)[number];

export type EventRecord = {
  id: string;
  project_id: string;
  type: string;
  integration_id: string | null;
  link_id: string | null;
  connection_id: string | null;
  data: Record<string, unknown>;
  created_at: Date;
};
export type NewEvent = {
  project_id: string;
  type: EventType;
  integration_id?: string;
  link_id?: string;
  connection_id?: string;
  data?: Record<string, unknown>;
};
