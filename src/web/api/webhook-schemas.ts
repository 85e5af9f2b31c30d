import { z } from 'zod';
import { eventTypes } from '../../broker/records.ts';
import { idText, page } from './schemas.ts';

/** Shapes of the calls about webhooks. */

const time = z.iso.datetime().describe('RFC 3339, UTC.');
const url = z.string().min(1).max(2000).describe('https and public; no user name, no fragment.');
const description = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'No control characters.')
  .nullish();
const types = z.array(z.enum(eventTypes)).max(eventTypes.length).describe('What is sent; empty: everything.');
const status = z.enum(['enabled', 'disabled']);

export const endpointBody = z.strictObject({ url, description, event_types: types.default([]) });
export const endpointPatch = z.strictObject({
  url: url.optional(),
  description,
  event_types: types.optional(),
  status: status.optional().describe('Enabling forgets what was wrong; disabling ends what is pending.'),
});
export const rotation = z.strictObject({
  overlap: z.number().int().min(0).max(604_800).default(86_400).describe('Seconds for which the secret before signs too.'),
});

export const endpoint = z
  .object({
    id: z.string(),
    url: z.string(),
    description: z.string().nullable(),
    event_types: z.array(z.string()),
    status,
    disabled_reason: z.string().nullable().describe('request, gone (the receiver answered 410), or failing (it took nothing for days).'),
    failing_since: time.nullable().describe('The first failure since the last success.'),
    previous_secret_until: time.nullable().describe('Until then the secret before signs too.'),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'WebhookEndpoint' });
export const endpointWithSecret = endpoint.extend({ secret: z.string().describe('Shown this once.') }).meta({ id: 'NewWebhookEndpoint' });

const deliveryStatus = z.enum(['pending', 'delivered', 'failed']);
export const deliveryQuery = page.extend({
  endpoint: idText.optional().describe('The id of an endpoint.'),
  event: idText.optional().describe('The id of an event.'),
  status: deliveryStatus.optional(),
});
export const delivery = z
  .object({
    id: z.string(),
    endpoint: z.string(),
    event: z.string(),
    event_type: z.string(),
    status: deliveryStatus,
    attempts: z.number().int(),
    next_attempt_at: time.nullable(),
    last_attempt_at: time.nullable(),
    last_status: z.number().int().nullable().describe('HTTP status of the last answer; null when none came.'),
    last_error: z.string().nullable(),
    delivered_at: time.nullable(),
    created_at: time,
  })
  .meta({ id: 'WebhookDelivery' });
