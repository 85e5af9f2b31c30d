import type { AuditEntry, AuditRecord, Counted } from './audit.ts';
import type { DamagedSecrets, KeyUpkeep, Rotations, SealedRows } from './key-records.ts';
import type {
  ApiKeyRecord,
  ConnectionRecord,
  ConnectionStatus,
  EventRecord,
  EventType,
  IntegrationRecord,
  LastError,
  LinkErrorCode,
  LinkRecord,
  NewEvent,
  ProjectRecord,
  ProviderVersionRecord,
  RevocationRecord,
  TestStep,
  TestStepRecord,
} from './records.ts';
import type { DataKeyStore } from './seal.ts';
import type { WebhookStore } from './webhook-records.ts';

/**
 * What the use-cases ask of Postgres. Each method is one atomic step; events given to it are written in the same
 * transaction as the change. Whatever belongs to a project is only ever found with that project's id.
 */

export type Page<T> = { items: T[]; next: string | undefined };
/** `after` is the id of the last item of the page before. */
export type PageRequest = { limit: number; after?: string | undefined };

export type Projects = {
  get(id: string): Promise<ProjectRecord | undefined>;
  list(page: PageRequest): Promise<Page<ProjectRecord>>;
  /** Undefined when the id is taken, or was that of a deleted project. */
  insert(project: Omit<ProjectRecord, 'created_at'>): Promise<ProjectRecord | undefined>;
  update(id: string, change: { name?: string | undefined; return_urls?: string[] | undefined }): Promise<ProjectRecord | undefined>;
  /**
   * Deletes a project with its keys, definitions, links, events and webhooks, and its data keys for good. Nothing is deleted of one that has
   * integrations or connections (`in_use`), or connections that a provider has still to be told of (`revoking`).
   */
  remove(id: string): Promise<'removed' | 'in_use' | 'revoking' | 'missing'>;
};

/** What every call looks up. */
export type FoundKey = Pick<ApiKeyRecord, 'id' | 'project_id' | 'name' | 'key_hash' | 'scopes' | 'limits' | 'expires_at' | 'created_at'> & {
  expired: boolean;
};
export type NewApiKey = Omit<ApiKeyRecord, 'created_at' | 'last_used_at' | 'replaced_by'>;
export type ApiKeys = {
  insert(key: NewApiKey): Promise<ApiKeyRecord>;
  get(project: string, id: string): Promise<ApiKeyRecord | undefined>;
  update(project: string, id: string, change: Partial<Pick<ApiKeyRecord, 'name' | 'limits' | 'expires_at'>>): Promise<ApiKeyRecord | undefined>;
  /** Puts `next` in the place of a living key, which ends after `overlapS` at the latest; undefined when it has ended or was replaced before. */
  replace(project: string, id: string, next: NewApiKey, overlapS: number): Promise<ApiKeyRecord | undefined>;
  /** Notes that keys were used; one that was noted within the last minute is passed over. */
  used(ids: readonly string[]): Promise<void>;
  list(project: string, page: PageRequest): Promise<Page<ApiKeyRecord>>;
  /** What the key is called; undefined when there is none. */
  name(project: string, id: string): Promise<string | undefined>;
  remove(project: string, id: string): Promise<boolean>;
  findByHash(hash: Buffer): Promise<FoundKey | undefined>;
};

export type ProviderVersionSummary = Pick<ProviderVersionRecord, 'provider_id' | 'version' | 'made_by' | 'current' | 'created_at'>;

export type Providers = {
  current(project: string, id: string): Promise<ProviderVersionRecord | undefined>;
  version(project: string, id: string, version: number): Promise<ProviderVersionRecord | undefined>;
  listCurrent(project: string): Promise<ProviderVersionRecord[]>;
  /** The same without the definitions. */
  currentVersions(project: string): Promise<Pick<ProviderVersionRecord, 'provider_id' | 'version'>[]>;
  /** All versions, the newest first; `after` is the last version of the page before. Their definitions are left out. */
  history(project: string, id: string, page: { limit: number; after?: number | undefined }): Promise<ProviderVersionSummary[]>;
  /** Adds the next version and makes it the current one. */
  put(project: string, id: string, version: Pick<ProviderVersionRecord, 'definition' | 'written' | 'made_by'>): Promise<ProviderVersionRecord>;
  remove(project: string, id: string): Promise<boolean>;
};

export type IntegrationChange = Partial<
  Pick<
    IntegrationRecord,
    | 'client_id'
    | 'client_secret_sealed'
    | 'further_secrets_sealed'
    | 'private_key_sealed'
    | 'inputs_sealed'
    | 'secret_version'
    | 'probe_unused_after_s'
    | 'scopes'
    | 'callback'
    | 'verification'
    | 'status'
  >
>;
export type Registration = Pick<IntegrationRecord, 'project_id' | 'id' | 'secret_version'>;
export type Integrations = {
  /** Undefined when the id is taken. */
  insert(integration: Omit<IntegrationRecord, 'created_at' | 'updated_at' | 'status' | 'trial_at'>): Promise<IntegrationRecord | undefined>;
  get(project: string, id: string): Promise<IntegrationRecord | undefined>;
  list(project: string, page: PageRequest): Promise<Page<IntegrationRecord>>;
  /** Undefined when it is gone or its secret_version is no longer the one given. The events are written when the status changes. */
  update(project: string, id: string, secretVersion: number, change: IntegrationChange, events?: NewEvent[]): Promise<IntegrationRecord | undefined>;
  /** Notes what the provider makes of a registration, with the events; false when that was noted before, or the registration was changed. */
  setStatus(registration: Registration, status: IntegrationRecord['status'], events: NewEvent[]): Promise<boolean>;
  /** Makes due what waited for the registration, bit by bit. */
  resume(project: string, id: string): Promise<void>;
  /** While it is misconfigured: true for one caller in `everyS` seconds; true for all when it no longer is. */
  takeTrial(project: string, id: string, everyS: number): Promise<boolean>;
  /** True when another connection than the given one was refused since the registration was changed, and none was accepted since that. */
  isRefusedElsewhere(registration: Pick<IntegrationRecord, 'project_id' | 'id' | 'updated_at'>, connection: string | undefined): Promise<boolean>;
  /** `in_use` while connections exist, `revoking` while a provider has still to be told of deleted ones. */
  remove(project: string, id: string): Promise<'removed' | 'in_use' | 'revoking' | 'missing'>;
};

export type Links = {
  /**
   * Undefined when `mostUnfinished` links of the project are not at their end. Those that are made in the same moment do not see each
   * other: there may be more by the number of connections to the database.
   */
  insert(link: NewLink, more: { expiresInS: number; mostUnfinished: number; events: NewEvent[] }): Promise<LinkRecord | undefined>;
  get(project: string, id: string): Promise<LinkRecord | undefined>;
  byToken(hash: Buffer): Promise<LinkRecord | undefined>;
  /** For the result page; the caller checks the browser. */
  byId(id: string): Promise<LinkRecord | undefined>;
  /** pending -> opened. */
  open(id: string, events: NewEvent[]): Promise<void>;
  /** Takes an unfinished, unexpired link for one browser and one new state; undefined when another browser has it or it is over. */
  begin(id: string, browserHash: Buffer, stateHash: Buffer, stateTtlS: number): Promise<LinkRecord | undefined>;
  /** Keeps what was started; false when another start came in between. */
  keepPending(id: string, attempt: number, pendingSealed: string, events: NewEvent[]): Promise<boolean>;
  /** Back to `opened` after a start that failed for now. */
  release(id: string, attempt: number): Promise<void>;
  /** Consumes a state, once, ever. */
  consumeState(stateHash: Buffer): Promise<LinkRecord | undefined>;
  /** Consumes the one flow that waits in this browser for this callback path and whose provider echoes no state; undefined when there are none or several. */
  consumeByBrowser(browserHash: Buffer, redirectUri: string): Promise<LinkRecord | undefined>;
  /** Consumes an out-of-band flow of this link. */
  consumeByLink(id: string, browserHash: Buffer): Promise<LinkRecord | undefined>;
  /** exchanging -> authorizing, as the next attempt, for the rest of the time that was given: nothing was authorized yet. */
  waitAgain(id: string, attempt: number, stateHash: Buffer, pendingSealed: string): Promise<boolean>;
  /** exchanging -> confirming. */
  holdForConfirmation(id: string, attempt: number, answerSealed: string, nonceHash: Buffer, ttlS: number): Promise<boolean>;
  /** confirming -> exchanging, once, before the nonce's end. */
  takeNonce(project: string, id: string, nonceHash: Buffer): Promise<LinkRecord | undefined>;
  /** Ends an unfinished link; false when it had ended. Erases what it held. */
  fail(id: string, code: LinkErrorCode, detail: string, events: NewEvent[]): Promise<boolean>;
  /** Ends links whose time is over or whose exchange was cut off; returns how many. */
  expireOverdue(limit: number): Promise<number>;
};
export type NewLink = Pick<
  LinkRecord,
  | 'id'
  | 'project_id'
  | 'integration_id'
  | 'purpose'
  | 'token_hash'
  | 'end_user'
  | 'return_url'
  | 'scopes'
  | 'inputs_sealed'
  | 'metadata'
  | 'reconnects'
  | 'verification'
  | 'page'
  | 'endpoint'
  | 'snapshot'
  | 'redirect_uri'
>;

/** What tests of integrations leave behind. */
export type Tests = {
  /** Adds a step to a test, up to a bound. */
  add(linkId: string, step: TestStep): Promise<void>;
  /** Its steps in order. */
  steps(linkId: string): Promise<TestStepRecord[]>;
  /** Ends a test that was gone through; false when it had ended. Erases what its link held. */
  end(link: FinishedLink): Promise<boolean>;
};

export type CodeLedger = {
  /** Undefined the first time; afterwards the link under which the code was seen first. */
  record(codeHash: Buffer, linkId: string): Promise<string | undefined>;
};

/** How long things live, from the moment of the request; turned into instants by Postgres's clock. */
export type CredentialTimes = {
  /** Milliseconds since the request for the credential was sent. */
  ageMs: number;
  lifetimeS: number | null;
  refreshLifetimeS: number | null;
  /** Seconds from the request until a refresh is due; null: never. */
  dueInS: number | null;
};
export type StoredCredential = Pick<ConnectionRecord, 'credential_sealed' | 'scopes' | 'missing_scopes' | 'extras' | 'refreshable'> & {
  times: CredentialTimes;
};

export type NewConnection = Pick<
  ConnectionRecord,
  'id' | 'project_id' | 'integration_id' | 'provider_id' | 'method' | 'end_user' | 'requested_scopes' | 'inputs_sealed' | 'metadata' | 'account'
> &
  StoredCredential;

/** The link that a new or renewed connection finishes, in the same transaction. */
export type FinishedLink = { id: string; attempt: number };

export type ConnectionFilter = {
  integration?: string | undefined;
  end_user?: string | undefined;
  organization?: string | undefined;
  status?: ConnectionStatus | undefined;
  /** Code of the last error. */
  error?: string | undefined;
  failing_before?: Date | undefined;
  /** Last refreshed before; one that never was: made before. */
  refreshed_before?: Date | undefined;
  next_refresh_before?: Date | undefined;
  expires_before?: Date | undefined;
  /** No token was handed out since; one that never was used: made before. */
  unused_since?: Date | undefined;
  /** True: scopes that were asked for were not granted; false: none is missing. */
  missing_scopes?: boolean | undefined;
};

export type Connections = {
  /** Undefined when the link was finished by something else meanwhile. */
  insert(connection: NewConnection, link: FinishedLink | undefined, events: NewEvent[]): Promise<ConnectionRecord | undefined>;
  /** A new authorization of an existing connection: sealed for `version + 1`; undefined when the version moved on or the link ended. */
  renew(
    project: string,
    id: string,
    version: number,
    renewal: StoredCredential & Pick<ConnectionRecord, 'requested_scopes' | 'inputs_sealed' | 'account' | 'method'>,
    link: FinishedLink | undefined,
    events: NewEvent[],
  ): Promise<ConnectionRecord | undefined>;
  get(project: string, id: string): Promise<ConnectionRecord | undefined>;
  list(project: string, filter: ConnectionFilter, page: PageRequest): Promise<Page<ConnectionRecord>>;
  setMetadata(project: string, id: string, metadata: Record<string, unknown>): Promise<ConnectionRecord | undefined>;
  /** Ends a connection that is still in use: the security stop. */
  requireReauthorization(project: string, id: string, reason: string, events: NewEvent[]): Promise<boolean>;
  /** Ends connections whose token has ended and cannot be renewed, with an event for each; returns how many. */
  endExpired(limit: number): Promise<number>;
  /** Erases it and, when `revoke` is given, leaves its credential in the revocations, unless a later one is there. False when there is none. */
  remove(project: string, id: string, revoke: 'at_provider' | 'nothing', events: NewEvent[]): Promise<boolean>;
};

/** What the token path reads of a connection, and no more: every column costs at every call. */
export type TokenRow = Pick<
  ConnectionRecord,
  | 'id'
  | 'project_id'
  | 'integration_id'
  | 'provider_id'
  | 'method'
  | 'end_user_id'
  | 'status'
  | 'reason'
  | 'reason_since'
  | 'scopes'
  | 'missing_scopes'
  | 'credential_sealed'
  | 'token_version'
  | 'issued_at'
  | 'expires_at'
  | 'refreshable'
  | 'retry_at'
  | 'failing_since'
  | 'failure_count'
  | 'last_error'
  | 'extras'
  | 'updated_at'
> & {
  /** Postgres's now. */
  now: Date;
  /** The current version of the project's own definition of this provider; null when the shipped one holds. */
  own_version: number | null;
  client_id: string;
};
export type TokenLookup = { key: FoundKey; connection: TokenRow | undefined };
export type Tokens = {
  /** The whole token path: one statement for the key and the connection. Undefined: no such key. */
  byKey(keyHash: Buffer, connectionId: string): Promise<TokenLookup | undefined>;
  byProject(project: string, connectionId: string): Promise<TokenRow | undefined>;
};

/** What a refresh needs, read together. */
export type RefreshView = {
  connection: ConnectionRecord;
  /** Undefined when it is gone. */
  integration: IntegrationRecord | undefined;
  /** The current version of the project's own definition of this provider; null when the shipped one holds. */
  ownVersion: number | null;
  /** Postgres's now. */
  now: Date;
};

/** Which refresh is meant: the version, and how many failed attempts at it the caller knows of. */
export type RefreshTarget = Pick<ConnectionRecord, 'project_id' | 'id' | 'token_version' | 'failure_count'>;

/** The right to send one refresh. `ambiguous`: an earlier request for this version was sent, and nobody knows what came of it. */
export type Claim = { connection: ConnectionRecord; lease: string; ambiguous: boolean };

/** A refresh that is due, as a job's payload names it. */
export type DueRefresh = { connection_id: string; token_version: number };

/** What was put off counts too. `overdue`: due for more than a minute, or put off for so long. */
export type DueCounts = { due: number; overdue: number; oldestOverdueS: number };

export type Refreshes = {
  /** By the connection's id alone: for jobs, whose payload says no more. */
  read(id: string): Promise<RefreshView | undefined>;
  /** Hands out due refreshes, the longest overdue first, each to one caller, and looks at them again after `holdS`. */
  due(limit: number, holdS: number): Promise<DueRefresh[]>;
  /** Puts a due refresh off: it is due after `ms` only, and `put_off_since` keeps when it was at first. */
  postpone(due: DueRefresh, ms: number): Promise<void>;
  /** Hands out again at once what was handed out, for the queue has lost it. What was put off waits for its time. */
  handOutAgain(): Promise<void>;
  /** How many refreshes are due now, or were and have been put off. */
  counts(): Promise<DueCounts>;
  /**
   * Takes the lease and commits the intent, in one statement; undefined when somebody else has it, the version moved on, or
   * another attempt has failed since the caller looked.
   */
  claim(connection: ConnectionRecord, lease: string): Promise<Claim | undefined>;
  /**
   * Saves the next credential if nobody else did, also when the lease has passed or a later attempt was refused; wakes who waits.
   * Undefined when the version moved on, or the connection was stopped for another reason. `recovered` is written when it was not active.
   */
  commit(claim: Claim, next: StoredCredential, events: NewEvent[], recovered: NewEvent): Promise<ConnectionRecord | undefined>;
  /** The lease ends without a new credential. False when the version or the lease moved on: then the failure says nothing. */
  fail(
    claim: Claim,
    failure: {
      outcome: 'sent' | 'refused' | 'failed';
      status: ConnectionStatus;
      reason: string | null;
      error: Omit<LastError, 'at'>;
      /** Seconds until the next attempt makes sense; null: none does. */
      retryInS: number | null;
    },
    events: NewEvent[],
  ): Promise<boolean>;
};

export type NewRevocation = Omit<RevocationRecord, 'attempts' | 'next_attempt_at' | 'created_at'>;
export type Revocations = {
  /**
   * Keeps a credential until its provider has been told; whoever queues it tries at once, the others after a minute. There is one for a
   * connection: an earlier version gives way, for its grant is the same. Undefined when that version or a later one is there.
   */
  queue(revocation: NewRevocation): Promise<RevocationRecord | undefined>;
  get(connectionId: string): Promise<RevocationRecord | undefined>;
  claimDue(limit: number, leaseS: number): Promise<RevocationRecord[]>;
  /** It is not due again before so many seconds have passed. */
  postpone(revocation: Pick<RevocationRecord, 'connection_id' | 'token_version'>, seconds: number): Promise<void>;
  /** Of this version only, however it is sealed by now: a later one that was queued meanwhile stays, and the events are not written. */
  done(revocation: Pick<RevocationRecord, 'connection_id' | 'token_version'>, events: NewEvent[]): Promise<void>;
};

export type EventFilter = {
  connection?: string | undefined;
  /** Any of these. */
  types?: readonly EventType[] | undefined;
  /** Written at this time or later. */
  after?: Date | undefined;
  before?: Date | undefined;
};
export type Events = {
  list(project: string, filter: EventFilter, page: PageRequest): Promise<Page<EventRecord>>;
};

export type IdempotencyAnswer = { status: number; answer_sealed: string };
export type Idempotency = {
  /** Undefined: it is ours now. */
  begin(
    project: string,
    caller: string,
    key: string,
    requestHash: Buffer,
  ): Promise<undefined | { kind: 'mismatch' } | { kind: 'running' } | ({ kind: 'answered' } & IdempotencyAnswer)>;
  finish(project: string, caller: string, key: string, answer: IdempotencyAnswer): Promise<void>;
  abandon(project: string, caller: string, key: string): Promise<void>;
};

/** What is known of the use of connections, and the probes of those that nobody uses. */
export type Probes = {
  /** Notes that tokens were handed out, to the hour; their probes wait for the integration's pause to pass again. */
  used(connectionIds: readonly string[]): Promise<void>;
  /** Takes active connections that nobody has used for the pause of their integration, each for one caller: the next probe is a pause away. */
  due(limit: number): Promise<Pick<ConnectionRecord, 'project_id' | 'id'>[]>;
  /**
   * The provider refuses the credential of this version: reauthorization is required, unless something has happened to the connection
   * since, or happens right now. False then.
   */
  refused(connection: Pick<ConnectionRecord, 'project_id' | 'id' | 'token_version'>, events: NewEvent[]): Promise<boolean>;
  /** A probe that said nothing is due again sooner. */
  postpone(connectionIds: readonly string[], inS: number): Promise<void>;
};

/** Rows that are deleted when their time has passed, and until when. */
export type Retention = { eventsBefore: Date; deliveriesBefore: Date };
export type Housekeeping = {
  /** Deletes what has had its time, in small batches, so many per table at most. Returns rows per table. */
  sweep(retention: Retention): Promise<Record<string, number>>;
};

/** An entry that is to be chained once its time has come. */
export type PendingEntry = { id: string; entry: AuditEntry; dueInS: number };
export type CountedEntry = Counted & { minute: Date; count: number };
export type AuditFilter = {
  action?: AuditEntry['action'] | undefined;
  actor?: string | undefined;
  target?: string | undefined;
  /** At this time or later. */
  from?: Date | undefined;
  to?: Date | undefined;
  after_seq?: number | undefined;
  order: 'newest' | 'oldest';
};
export type AuditLog = {
  /** Writes an entry down, over the one that stands under its id. */
  pend(pending: PendingEntry): Promise<void>;
  /** Takes one back that was not chained yet. */
  forget(id: string): Promise<void>;
  /** Adds to the counts of the minute, which are chained when it is over. */
  count(entries: readonly CountedEntry[]): Promise<void>;
  /** Appends to the chain what is due, one process at a time; returns how many. */
  chain(): Promise<number>;
  /** Of one project, or with null of everything. */
  list(project: string | null, filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>>;
  /** The last row; before the first one, 0 and zeros. */
  head(): Promise<Pick<AuditRecord, 'seq' | 'hash'>>;
};

export type Store = {
  audit: AuditLog;
  projects: Projects;
  apiKeys: ApiKeys;
  dataKeys: DataKeyStore;
  keyUpkeep: KeyUpkeep;
  rotations: Rotations;
  sealedRows: SealedRows;
  damagedSecrets: DamagedSecrets;
  providers: Providers;
  integrations: Integrations;
  links: Links;
  tests: Tests;
  ledger: CodeLedger;
  connections: Connections;
  tokens: Tokens;
  refreshes: Refreshes;
  revocations: Revocations;
  probes: Probes;
  events: Events;
  webhooks: WebhookStore;
  idempotency: Idempotency;
  housekeeping: Housekeeping;
  /** Throws when Postgres does not answer. */
  ping(): Promise<void>;
};
