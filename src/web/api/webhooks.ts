import type { z } from 'zod';
import { getWebhookDelivery, listWebhookDeliveries, redeliverWebhook } from '../../broker/webhook-deliveries.ts';
import {
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  getWebhookEndpoint,
  listWebhookEndpoints,
  rotateWebhookSecret,
  updateWebhookEndpoint,
} from '../../broker/webhook-endpoints.ts';
import type { DeliveryRecord, WebhookEndpointRecord } from '../../broker/webhook-records.ts';
import { GrantryError } from '../../protocol/errors.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { listOf, page } from './schemas.ts';
import * as s from './webhook-schemas.ts';

/** Webhook endpoints and deliveries. What the views do not name never leaves. */

const iso = (date: Date): string => date.toISOString();
const isoOrNull = (date: Date | null): string | null => (date === null ? null : date.toISOString());

const endpointView = (record: WebhookEndpointRecord): z.input<typeof s.endpoint> => ({
  id: record.id,
  url: record.url,
  description: record.description,
  event_types: record.event_types,
  status: record.status,
  disabled_reason: record.disabled_reason,
  failing_since: isoOrNull(record.failing_since),
  previous_secret_until: isoOrNull(record.previous_secret_until),
  created_at: iso(record.created_at),
  updated_at: iso(record.updated_at),
});

const deliveryView = (record: DeliveryRecord): z.input<typeof s.delivery> => ({
  id: record.id,
  endpoint: record.endpoint_id,
  event: record.event_id,
  event_type: record.event_type,
  status: record.status === 'queued' ? 'pending' : record.status,
  attempts: record.attempts,
  next_attempt_at: isoOrNull(record.next_attempt_at),
  last_attempt_at: isoOrNull(record.last_attempt_at),
  last_status: record.last_status,
  last_error: record.last_error,
  delivered_at: isoOrNull(record.delivered_at),
  created_at: iso(record.created_at),
});

const about = { scope: 'admin', tag: 'Webhooks' } as const;

const endpointCalls: Endpoint[] = [
  endpoint({
    ...about,
    method: 'get',
    path: '/v1/webhook-endpoints',
    summary: 'List webhook endpoints',
    query: page,
    answer: listOf(s.endpoint),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { items, next } = await listWebhookEndpoints(world, project, pageOf(query));
      return { data: items.map(endpointView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    ...about,
    method: 'post',
    path: '/v1/webhook-endpoints',
    summary: 'Add a webhook endpoint; its signing secret is shown this once',
    audit: { action: 'webhook_endpoint.created' },
    body: s.endpointBody,
    answer: s.endpointWithSecret,
    status: 201,
    errors: ['conflict'],
    handle: async ({ world, project, body }) => {
      const { record, secret } = await createWebhookEndpoint(world, project, body);
      return { ...endpointView(record), secret };
    },
  }),
  endpoint({
    ...about,
    method: 'get',
    path: '/v1/webhook-endpoints/:id',
    summary: 'Read a webhook endpoint',
    answer: s.endpoint,
    status: 200,
    handle: async ({ world, project, params }) => endpointView(await getWebhookEndpoint(world, project, params.id ?? '')),
  }),
  endpoint({
    ...about,
    method: 'patch',
    path: '/v1/webhook-endpoints/:id',
    summary: 'Change, disable or enable a webhook endpoint',
    audit: { action: 'webhook_endpoint.updated' },
    body: s.endpointPatch,
    answer: s.endpoint,
    status: 200,
    handle: async ({ world, project, params, body }) => {
      if (Object.keys(body).length === 0) {
        const detail = 'There is nothing to change.';
        throw new GrantryError('invalid_request', { detail, errors: [{ pointer: '', detail }] });
      }
      return endpointView(await updateWebhookEndpoint(world, project, params.id ?? '', body));
    },
  }),
  endpoint({
    ...about,
    method: 'delete',
    path: '/v1/webhook-endpoints/:id',
    summary: 'Delete a webhook endpoint and its deliveries',
    audit: { action: 'webhook_endpoint.deleted' },
    status: 204,
    handle: ({ world, project, params }) => deleteWebhookEndpoint(world, project, params.id ?? ''),
  }),
  endpoint({
    ...about,
    method: 'post',
    path: '/v1/webhook-endpoints/:id/rotate-secret',
    summary: 'Make a new signing secret; it is shown this once',
    audit: { action: 'webhook_endpoint.secret_rotated', details: ({ body }) => ({ overlap_s: body.overlap }) },
    description: 'The secret before signs too until the overlap ends. One that was made before that ends at once.',
    body: s.rotation,
    answer: s.endpointWithSecret,
    status: 200,
    errors: ['conflict'],
    handle: async ({ world, project, params, body }) => {
      const { record, secret } = await rotateWebhookSecret(world, project, params.id ?? '', body.overlap);
      return { ...endpointView(record), secret };
    },
  }),
];

const deliveryCalls: Endpoint[] = [
  endpoint({
    ...about,
    method: 'get',
    path: '/v1/webhook-deliveries',
    summary: 'List deliveries, newest first',
    query: s.deliveryQuery,
    answer: listOf(s.delivery),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { endpoint: to, event, status, ...rest } = query;
      const { items, next } = await listWebhookDeliveries(world, project, { endpoint: to, event, status }, pageOf(rest));
      return { data: items.map(deliveryView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    ...about,
    method: 'get',
    path: '/v1/webhook-deliveries/:id',
    summary: 'Read a delivery',
    answer: s.delivery,
    status: 200,
    handle: async ({ world, project, params }) => deliveryView(await getWebhookDelivery(world, project, params.id ?? '')),
  }),
  endpoint({
    ...about,
    method: 'post',
    path: '/v1/webhook-deliveries/:id/redeliver',
    summary: 'Send it again, at once',
    audit: { action: 'webhook_delivery.redelivered' },
    answer: s.delivery,
    status: 200,
    errors: ['conflict'],
    handle: async ({ world, project, params }) => deliveryView(await redeliverWebhook(world, project, params.id ?? '')),
  }),
];

export const webhooks: readonly Endpoint[] = [...endpointCalls, ...deliveryCalls];
