import type { EventRecord, EventType, NewEvent } from './records.ts';
import type { Page, PageRequest } from './store.ts';

/** Webhook endpoints and deliveries as the use-cases see them, and what they ask of Postgres. */

/** `request`: somebody asked for it; `gone`: the receiver answered 410; `failing`: it took nothing for days. */
export type DisabledReason = 'request' | 'gone' | 'failing';

export type WebhookEndpointRecord = {
  id: string;
  project_id: string;
  url: string;
  description: string | null;
  /** Empty: every type. */
  event_types: string[];
  /** A list of secrets, the one that signs first. */
  secrets_sealed: string;
  secret_version: number;
  previous_secret_until: Date | null;
  status: 'enabled' | 'disabled';
  disabled_reason: string | null;
  failing_since: Date | null;
  created_at: Date;
  updated_at: Date;
};

/**
 * `pending` until the other side has taken it; `queued`, shown to callers as `pending`: handed to the queue;
 * `failed` when a day of attempts was in vain, or the endpoint is disabled.
 */
export type DeliveryStatus = 'pending' | 'queued' | 'delivered' | 'failed';
export type ShownDeliveryStatus = Exclude<DeliveryStatus, 'queued'>;

export type DeliveryRecord = {
  id: string;
  project_id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  status: DeliveryStatus;
  attempts: number;
  round_since: Date;
  next_attempt_at: Date | null;
  last_status: number | null;
  last_error: string | null;
  last_attempt_at: Date | null;
  delivered_at: Date | null;
  created_at: Date;
};

export type NewWebhookEndpoint = Pick<WebhookEndpointRecord, 'id' | 'project_id' | 'url' | 'description' | 'secrets_sealed'> & {
  event_types: EventType[];
};
export type WebhookEndpointChange = {
  url?: string | undefined;
  description?: string | null | undefined;
  event_types?: EventType[] | undefined;
  status?: WebhookEndpointRecord['status'] | undefined;
};

/** What one attempt needs, read together. */
export type DeliveryView = {
  delivery: DeliveryRecord;
  endpoint: WebhookEndpointRecord;
  event: EventRecord;
  /** An attempt may be made now: its time has come, or it was handed to the queue. */
  due: boolean;
  /** Postgres's now. */
  now: Date;
};

/** One attempt that has begun: a later one has another number. */
export type DeliveryAttempt = Pick<DeliveryRecord, 'id' | 'endpoint_id' | 'attempts'>;

/** How an attempt failed: the status of the answer, or null when none came, and a code of ours. */
export type DeliveryFailure = { status: number | null; error: string };

export type DeliveryFilter = { endpoint?: string | undefined; event?: string | undefined; status?: ShownDeliveryStatus | undefined };

export type WebhookStore = {
  /** Undefined when the project has `most` already. */
  insertEndpoint(endpoint: NewWebhookEndpoint, most: number): Promise<WebhookEndpointRecord | undefined>;
  getEndpoint(project: string, id: string): Promise<WebhookEndpointRecord | undefined>;
  listEndpoints(project: string, page: PageRequest): Promise<Page<WebhookEndpointRecord>>;
  /** Enabling forgets what was wrong; disabling ends what is pending. */
  updateEndpoint(project: string, id: string, change: WebhookEndpointChange): Promise<WebhookEndpointRecord | undefined>;
  /** Secrets sealed for `version + 1`; the second one signs for `overlapS` more. Undefined when it is gone or the version moved on. */
  rotateSecrets(
    project: string,
    id: string,
    version: number,
    rotation: { secrets_sealed: string; overlapS: number },
  ): Promise<WebhookEndpointRecord | undefined>;
  /** With its deliveries. */
  removeEndpoint(project: string, id: string): Promise<boolean>;

  /** Hands out due deliveries, each to one caller, and holds them back from others for `holdS`. */
  due(limit: number, holdS: number): Promise<{ id: string; attempts: number }[]>;
  /** Makes everything that was handed out, and not begun, due at once: the queue has lost it. */
  handOutAgain(): Promise<void>;
  /** By the delivery's id alone: for jobs, whose payload says no more. */
  read(id: string): Promise<DeliveryView | undefined>;
  /** Hands a due delivery out again after `ms` only. */
  postpone(delivery: Pick<DeliveryRecord, 'id' | 'attempts'>, ms: number): Promise<void>;
  /**
   * Begins the next attempt of a due delivery, and holds it for `holdS`; undefined when somebody else was first.
   * `ageS`: seconds since the first attempt of this round.
   */
  begin(delivery: DeliveryAttempt, holdS: number): Promise<{ attempt: DeliveryAttempt; ageS: number } | undefined>;
  /** The other side has taken it, whatever was decided about the delivery meanwhile. */
  succeed(attempt: DeliveryAttempt, status: number): Promise<void>;
  /** The attempt failed; `retryInS` null: there is no other one. */
  fail(attempt: DeliveryAttempt, failure: DeliveryFailure, retryInS: number | null): Promise<void>;
  /** The endpoint takes nothing: its deliveries have failed. */
  giveUp(delivery: Pick<DeliveryRecord, 'id'>): Promise<void>;
  /**
   * Disables the endpoint, ends what is pending, and writes the event, unless it was disabled or changed its URL meanwhile, or a delivery
   * succeeded within `failingForS`. False: then nothing was done.
   */
  disable(
    attempt: DeliveryAttempt,
    failure: DeliveryFailure,
    why: { reason: Exclude<DisabledReason, 'request'>; url: string; failingForS: number },
    event: NewEvent,
  ): Promise<boolean>;

  getDelivery(project: string, id: string): Promise<DeliveryRecord | undefined>;
  listDeliveries(project: string, filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryRecord>>;
  /** A new round, at once. `pending`: the last one has not ended; `disabled`: the endpoint takes nothing. */
  redeliver(project: string, id: string): Promise<DeliveryRecord | 'pending' | 'disabled' | 'missing'>;
};
