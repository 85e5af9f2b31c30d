import type { ConnectionRecord, IntegrationRecord, LinkRecord } from './records.ts';
import type { Place } from './seal.ts';
import type { WebhookEndpointRecord } from './webhook-records.ts';

/** Where each sealed thing lives; these are bound into the ciphertexts, so they never change. */

type RowOf<T, K extends keyof T> = Pick<T, K>;

export const integrationPlace = (
  { project_id, id, secret_version }: RowOf<IntegrationRecord, 'project_id' | 'id' | 'secret_version'>,
  field: 'client_secret' | 'further_secrets' | 'private_key' | 'inputs',
): Place => ({ project: project_id, table: 'integrations', row: id, field, version: secret_version });

export const linkPlace = ({ project_id, id, attempt }: RowOf<LinkRecord, 'project_id' | 'id' | 'attempt'>, field: 'pending' | 'answer'): Place => ({
  project: project_id,
  table: 'connect_links',
  row: id,
  field,
  version: attempt,
});

export const linkInputsPlace = ({ project_id, id }: RowOf<LinkRecord, 'project_id' | 'id'>): Place => ({
  project: project_id,
  table: 'connect_links',
  row: id,
  field: 'inputs',
  version: 0,
});

export const credentialPlace = ({ project_id, id, token_version }: RowOf<ConnectionRecord, 'project_id' | 'id' | 'token_version'>): Place => ({
  project: project_id,
  table: 'connections',
  row: id,
  field: 'credential',
  version: token_version,
});

export const connectionInputsPlace = ({ project_id, id }: RowOf<ConnectionRecord, 'project_id' | 'id'>): Place => ({
  project: project_id,
  table: 'connections',
  row: id,
  field: 'inputs',
  version: 0,
});

export const idempotencyPlace = (project: string, caller: string, key: string): Place => ({
  project,
  table: 'idempotency_keys',
  row: JSON.stringify([caller, key]),
  field: 'answer',
  version: 0,
});

export const webhookSecretsPlace = ({
  project_id,
  id,
  secret_version,
}: RowOf<WebhookEndpointRecord, 'project_id' | 'id' | 'secret_version'>): Place => ({
  project: project_id,
  table: 'webhook_endpoints',
  row: id,
  field: 'secrets',
  version: secret_version,
});
