import { isGrantryError } from '../protocol/errors.ts';
import type { NewEvent } from './records.ts';
import type { Turn } from './refresh.ts';
import { webhookPayload } from './webhook-payload.ts';
import type { DeliveryAttempt, DeliveryView } from './webhook-records.ts';
import { activeSecrets, openSecrets, signedHeaders } from './webhook-signature.ts';
import { type Answer, failingForS, type Verdict, verdictOf } from './webhook-verdict.ts';
import type { World } from './world.ts';

/** Delivers what the outbox holds: one attempt at a time, at least once, for up to a day. */

/** Longer than the door waits for an answer (10 s), so that an attempt has ended before the next one can begin. */
const holdS = 30;
const soonS = 5;
const freeTurn = async (): Promise<Turn> => ({ kind: 'go', release() {} });

export type DeliveryOutcome = 'delivered' | 'retried' | 'failed' | 'disabled' | 'nothing';

/**
 * Attempts one delivery, if Postgres says that it is due; the job that names it is believed in nothing.
 *
 * @param takeTurn asks for a turn at the receiver's host, which has a share of this process only
 */
export async function deliverWebhook(
  world: World,
  deliveryId: string,
  takeTurn: (host: string) => Promise<Turn> = freeTurn,
): Promise<DeliveryOutcome> {
  const view = await world.store.webhooks.read(deliveryId);
  if (view === undefined || !view.due) return 'nothing';
  const { delivery, endpoint } = view;
  if (endpoint.status === 'disabled') {
    await world.store.webhooks.giveUp(delivery);
    return 'failed';
  }
  const turn = await takeTurn(hostOf(endpoint.url));
  if (turn.kind === 'later') {
    await world.store.webhooks.postpone(delivery, turn.ms);
    return 'nothing';
  }
  try {
    const begun = await world.store.webhooks.begin(delivery, holdS);
    return begun === undefined ? 'nothing' : await makeAttempt(world, view, begun);
  } finally {
    turn.release();
  }
}

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : '');

type Begun = { attempt: DeliveryAttempt; ageS: number };

async function makeAttempt(world: World, view: DeliveryView, begun: Begun): Promise<DeliveryOutcome> {
  const startedMs = world.elapsedMs();
  const answer = await send(world, view);
  const random = world.random(4).readUInt32BE(0) / 2 ** 32;
  const verdict = verdictOf({ answer, ageS: begun.ageS, failingSince: view.endpoint.failing_since, now: world.now(), random });
  const outcome = await record(world, view, { attempt: begun.attempt, verdict });
  world.meter.delivered({ outcome, ms: world.elapsedMs() - startedMs });
  if (verdict.kind !== 'delivered') {
    const { status, error } = verdict.failure;
    world.log.info({ delivery: view.delivery.id, endpoint: view.endpoint.id, outcome, status, code: error }, 'a webhook was not taken');
  }
  return outcome;
}

/** The receiver's status and headers, or why there are none. What it says in the body is nobody's business: a 2xx has taken the webhook. */
async function send(world: World, { endpoint, event, now }: DeliveryView): Promise<Answer> {
  const body = webhookPayload(event);
  try {
    const secrets = activeSecrets(await openSecrets(world, endpoint), endpoint, now);
    const headers = { 'content-type': 'application/json', ...signedHeaders(secrets, { id: event.id, at: world.now(), body }) };
    const { status, headers: answered } = await world.door({ method: 'POST', url: endpoint.url, headers, body, answerBody: 'ignored' });
    return { status, headers: answered };
  } catch (error) {
    if (!isGrantryError(error) || error.code === 'unavailable') throw error;
    if (error.code === 'integrity_error') world.log.error({ endpoint: endpoint.id }, 'the signing secrets of a webhook endpoint do not open');
    return error.code;
  }
}

async function record(
  world: World,
  { endpoint }: DeliveryView,
  { attempt, verdict }: { attempt: DeliveryAttempt; verdict: Verdict },
): Promise<Exclude<DeliveryOutcome, 'nothing'>> {
  const { webhooks } = world.store;
  if (verdict.kind === 'delivered') {
    await webhooks.succeed(attempt, verdict.status);
    return 'delivered';
  }
  if (verdict.kind === 'retry') {
    await webhooks.fail(attempt, verdict.failure, verdict.inS);
    return 'retried';
  }
  if (verdict.kind === 'disable') {
    const why = { reason: verdict.reason, url: endpoint.url, failingForS: verdict.reason === 'gone' ? 0 : failingForS };
    if (await webhooks.disable(attempt, verdict.failure, why, disabledEvent(endpoint, verdict.reason))) return 'disabled';
    // Somebody mended it, or disabled it, in this very moment: the next attempt finds out which.
    await webhooks.fail(attempt, verdict.failure, soonS);
    return 'retried';
  }
  await webhooks.fail(attempt, verdict.failure, null);
  return 'failed';
}

const disabledEvent = ({ id, project_id }: DeliveryView['endpoint'], reason: 'gone' | 'failing'): NewEvent => ({
  project_id,
  type: 'webhook_endpoint.disabled',
  data: { endpoint: id, reason, next: 'Mend the receiver, enable the endpoint again (PATCH, status "enabled"), and redeliver what failed.' },
});
