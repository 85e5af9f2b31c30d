import type { EventRecord } from './records.ts';
import type { Page, PageRequest } from './store.ts';

/** Webhook endpoints and deliveries as the use-cases see them, and what they ask of Postgres. */

/** `pending` until the other side has taken it; `failed` when a day of attempts was in vain, or the endpoint is disabled. */
export type DeliveryStatus = 'pending' | 'delivered' | 'failed';

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

/** What one attempt needs, read anew for each. */
export type DeliveryToMake = { delivery: DeliveryRecord; endpoint: WebhookEndpointRecord; event: EventRecord };

export type WebhookStore = {
  /** Hands out due deliveries, each to one caller, and holds them back from others for `holdS`. */
  due(limit: number, holdS: number): Promise<{ id: string; attempts: number }[]>;
  listDeliveries(
    project: string,
    filter: { endpoint?: string | undefined; event?: string | undefined; status?: DeliveryStatus | undefined },
    page: PageRequest,
  ): Promise<Page<DeliveryRecord>>;
};
