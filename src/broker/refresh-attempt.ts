import { randomUUID } from 'node:crypto';
import { grantFor } from '../grants/index.ts';
import { Credential } from '../protocol/credential.ts';
import { type ErrorCode, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { withSecretsOf } from './client-secrets.ts';
import { ageFromNow } from './credentials.ts';
import type { Ending, Ticket } from './host-health.ts';
import { markRecovered, mayTry } from './integrations.ts';
import { putOffMs } from './put-off.ts';
import type { ConnectionRecord } from './records.ts';
import { recordFailure } from './refresh-failure.ts';
import { type RefreshOutcome, saveRenewed } from './refresh-outcome.ts';
import type { Prospect, ReadyPlan } from './refresh-plan.ts';
import type { Claim, RefreshView } from './store.ts';
import type { World } from './world.ts';

/** One attempt at a refresh: admitted, claimed, sent, saved. */

/** Nothing was sent, and it makes no sense to send anything for so long. */
type Later = { kind: 'later'; ms: number; error: GrantryError };
/** Somebody else has the lease, or was first. */
type Overtaken = { kind: 'overtaken' };
export type Attempt = RefreshOutcome | Overtaken | Later;

const idle: Ticket = { end() {} };
/** The provider was away, or asked to wait: what a breaker counts. */
const outages: readonly ErrorCode[] = ['provider_unavailable', 'provider_unreachable', 'no_answer', 'bad_provider_answer'];

/** So long after the lease was asked for nothing is sent any more: with every secret tried, the answer is there well inside the lease (45 s). */
const latestSendMs = 10_000;

/**
 * Sends the refresh, unless the host is known to be down, the client registration to be refused, or somebody else has the lease.
 *
 * @param onAnswer called when the provider has answered, or will not: what comes then is no business of its host
 */
export async function attemptRefresh(world: World, prospect: Prospect, onAnswer = () => {}): Promise<Attempt> {
  const { view, caller } = prospect;
  const asked = caller === undefined ? ({ kind: 'go', ticket: idle } as const) : world.hosts.ask(caller);
  if (asked.kind === 'wait') return putOff(world, view, 'host_down', asked.ms);
  let isSent = false;
  try {
    const plan = await prospect.plan();
    if (plan.kind === 'ready' && !(await mayTry(world, plan.integration))) return await putOff(world, view, 'misconfigured', trialPauseMs);
    const begunMs = world.elapsedMs();
    const claim = await world.store.refreshes.claim(view.connection, randomUUID());
    // A process that was stopped meanwhile, or heard of its lease late, has lost it perhaps: the old token would be used twice.
    if (claim === undefined || world.elapsedMs() - begunMs > latestSendMs) return { kind: 'overtaken' };
    if (plan.kind === 'impossible') {
      count(world, view, isGrantryError(plan.error) ? plan.error.code : 'internal_error', 0);
      return await recordFailure(world, claim, view.integration, plan.error);
    }
    isSent = true;
    return await send(world, plan, claim, { ticket: asked.ticket, onAnswer });
  } finally {
    if (!isSent) asked.ticket.end('unused');
  }
}

/** What the breaker says before anything else is done; undefined when the host may be asked. */
export async function putOffWhileDown(world: World, { view, caller }: Prospect): Promise<Attempt | undefined> {
  const waitMs = caller === undefined ? 0 : world.hosts.waitMs(caller);
  return waitMs > 0 ? putOff(world, view, 'host_down', waitMs) : undefined;
}

/** While a client registration is refused, one connection tries it now and then; the others look again after this. */
const trialPauseMs = 60_000;

const reasons = {
  host_down: { code: 'provider_unavailable', detail: 'The provider does not answer; it is asked again soon.' },
  misconfigured: { code: 'invalid_client', detail: 'The provider refuses our client registration; one connection tries it again soon.' },
} as const;

/** Nothing is sent. A connection whose token has ended says so in its health; one that lives need not worry anybody. */
async function putOff(world: World, view: RefreshView, why: keyof typeof reasons, waitMs: number): Promise<Attempt> {
  const { connection, now, integration } = view;
  world.meter.putOff(why);
  const chance = world.random(2).readUInt16BE(0) / 65_536;
  const toldMs = waitMs * (1 + chance / 4);
  const { code, detail } = reasons[why];
  const error = new GrantryError(code, { detail, retryAfterS: Math.ceil(toldMs / 1000) });
  const hasEnded = connection.expires_at !== null && connection.expires_at.getTime() <= now.getTime();
  if (!hasEnded || connection.status !== 'active') return { kind: 'later', ms: putOffMs(view, toldMs, chance), error };
  const claim = await world.store.refreshes.claim(connection, randomUUID());
  return claim === undefined ? { kind: 'overtaken' } : recordFailure(world, claim, integration, error);
}

function count({ meter }: World, { connection, ownVersion }: RefreshView, outcome: 'refreshed' | ErrorCode, ms: number): void {
  meter.refreshed({ provider: ownVersion === null ? connection.provider_id : 'own', outcome, ms });
}

async function send(
  world: World,
  plan: ReadyPlan,
  claim: Claim,
  { ticket, onAnswer }: { ticket: Ticket; onAnswer: () => void },
): Promise<RefreshOutcome | Overtaken> {
  const { view, ctx, integration } = plan;
  const startedMs = world.elapsedMs();
  const sentAt = world.now();
  const ageMs = ageFromNow(world);
  let renewed: Credential;
  try {
    renewed = await renew(world, plan).finally(onAnswer);
  } catch (error) {
    ticket.end(endingOf(error), isGrantryError(error) ? error.details.retryAfterS : undefined);
    count(world, view, isGrantryError(error) ? error.code : 'internal_error', world.elapsedMs() - startedMs);
    return recordFailure(world, claim, view.integration, error);
  }
  ticket.end('answered');
  const saved = await saveRenewed(world, claim, { ctx, ageMs, credential: keepRefreshEnd(view.connection, plan.credential, renewed, sentAt) });
  count(world, view, 'refreshed', world.elapsedMs() - startedMs);
  await markRecovered(world, integration);
  return saved;
}

/** What an error says of the host. */
function endingOf(error: unknown): Ending {
  if (!isGrantryError(error, ...outages)) return 'answered';
  if (error.details.nature === 'crowded') return 'unused';
  return error.details.nature === 'rate_limit' ? 'limited' : 'failed';
}

async function renew(world: World, plan: ReadyPlan): Promise<Credential> {
  const { refresh } = grantFor(plan.ctx.method);
  if (refresh === undefined) throw new GrantryError('unsupported', { detail: 'This grant cannot be refreshed.' });
  return withSecretsOf(world, plan, (ctx) => refresh(ctx, plan.credential));
}

/** An answer that keeps the refresh token and is silent about its end leaves the end that is known. */
function keepRefreshEnd({ refresh_expires_at }: ConnectionRecord, old: Credential, renewed: Credential, sentAt: Date): Credential {
  const fields = renewed.reveal();
  if (refresh_expires_at === null || fields.refreshLifetimeS !== null || fields.refresh_token !== old.reveal().refresh_token) return renewed;
  return new Credential({ ...fields, refreshLifetimeS: Math.round((refresh_expires_at.getTime() - sentAt.getTime()) / 1000) });
}
