import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { DeliveryRecord, WebhookEndpointRecord } from '../../src/broker/webhook-records.ts';
import { deliverWebhook } from '../../src/broker/webhooks.ts';
import type { World } from '../../src/broker/world.ts';
import { serveHttp } from '../outside/local-servers.ts';
import type { Whole } from './connected.ts';

/** What integrators run: a server that takes webhooks. */

export type Received = { path: string; headers: IncomingHttpHeaders; body: string };
export type Receiver = {
  url: string;
  /** In the order in which they came. */
  received: Received[];
  /** Until it is changed: 204. */
  answer: (response: ServerResponse, request: Received) => void;
  close(): Promise<void>;
};

export async function startReceiver(): Promise<Receiver> {
  const takes = (response: ServerResponse) => void response.writeHead(204).end();
  const server = await serveHttp(async (message, response) => {
    const request = { path: message.url ?? '', headers: message.headers, body: Buffer.concat(await message.toArray()).toString() };
    receiver.received.push(request);
    receiver.answer(response, request);
  });
  const receiver: Receiver = { url: `http://127.0.0.1:${server.port}/hook`, received: [], answer: takes, close: server.close };
  return receiver;
}

export type Registered = WebhookEndpointRecord & { secret: string };

/** Adds an endpoint; with its secret. */
export const register = (whole: Whole, body: Record<string, unknown>): Promise<Registered> =>
  whole.root.call<Registered>('POST', '/v1/webhook-endpoints', { body });

/** Something happens: a connection is made; its id. */
export async function happen(whole: Whole): Promise<string> {
  const body = { integration: 'as', end_user: { id: 'u1' }, import: { access_token: 'at' } };
  return (await whole.root.call<{ id: string }>('POST', '/v1/connections', { body })).id;
}

/** The deliveries to an endpoint, the oldest first. */
export const deliveriesTo = (whole: Whole, endpoint: string): Promise<DeliveryRecord[]> =>
  whole.sql<DeliveryRecord>('select * from webhook_deliveries where endpoint_id = $1 order by id', [endpoint]);

/** One attempt at each delivery to the endpoint that is not over, whatever its time. */
export async function attemptAll(whole: Whole, world: World, endpoint: string): Promise<string[]> {
  await whole.sql('update webhook_deliveries set next_attempt_at = now() where endpoint_id = $1 and next_attempt_at is not null', [endpoint]);
  const outcomes: string[] = [];
  for (const { id, status } of await deliveriesTo(whole, endpoint)) if (status === 'pending') outcomes.push(await deliverWebhook(world, id));
  return outcomes;
}
