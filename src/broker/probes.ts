import type { Door, DoorResponse } from '../protocol/door.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { refusesToken } from '../protocol/oauth1/refusal.ts';
import { isTransientStatus } from '../protocol/transient.ts';
import { sendProbe } from './account.ts';
import { getConnection } from './connections.ts';
import { openCredential } from './credentials.ts';
import type { ConnectionRecord } from './records.ts';
import { connectionContext, refreshConnection } from './refresh.ts';
import type { TokenRow } from './store.ts';
import { getToken } from './tokens.ts';
import type { World } from './world.ts';

/** Asks providers whether a credential works, and draws the consequence where the answer is no. */

export type ProbeResult = { outcome: 'works' | 'refused' | 'unclear'; status: number };

type Probed = ProbeResult & {
  connection: ConnectionRecord;
  /** The answer blames the credential and nothing of ours. */
  blames: boolean;
};

/**
 * Whether the credential works; refreshed first when it has ended. One that the provider refuses is refreshed and tried once more;
 * when that changes nothing, or nothing can renew it, the connection needs a reauthorization. Every other answer changes nothing.
 * Throws `unsupported` when the definition has no probe, what `getToken` throws, and transient errors as they are.
 */
export const probeConnection = (world: World, row: TokenRow): Promise<ProbeResult> => probeThrough(world, row, world.door);

async function probeThrough(world: World, row: TokenRow, door: Door): Promise<ProbeResult> {
  // A probe is no use of the connection.
  await getToken({ ...world, uses: { note() {} } }, row, { minTtlS: 10, force: false });
  let probed = await ask(world, await getConnection(world, row.project_id, row.id), door);
  if (probed.outcome === 'refused' && probed.connection.refreshable) {
    const renewed = await refreshConnection(world, probed.connection);
    if (renewed.kind === 'gone') throw new GrantryError('not_found');
    // What a refusal to refresh means, the refresh itself has seen to.
    if (renewed.kind === 'failed') return { outcome: probed.outcome, status: probed.status };
    probed = await ask(world, renewed.connection, door);
  }
  if (probed.outcome === 'refused' && probed.blames) await endRefused(world, probed.connection);
  return { outcome: probed.outcome, status: probed.status };
}

async function ask(world: World, connection: ConnectionRecord, door: Door): Promise<Probed> {
  const { ctx } = await connectionContext({ ...world, door }, connection);
  // Only a refused signature gives its reason in the body; otherwise the status decides, however large or odd the rest is.
  const answer = await sendProbe(ctx, await openCredential(world, connection), isSigned(ctx) ? 'read' : 'ignored');
  if (answer === undefined) throw new GrantryError('unsupported', { detail: 'The definition of this provider has no probe.' });
  const { status } = answer;
  const outcome = answer.works ? 'works' : status === 401 ? 'refused' : 'unclear';
  return { outcome, status, connection, blames: blamesCredential(ctx, answer) };
}

/**
 * A signature (OAuth 1.0a) is refused for our key, our secret or our clock as well: those are one fault for all connections of an
 * integration, and no end user can mend it.
 */
const blamesCredential = (ctx: GrantContext, answer: DoorResponse): boolean => !isSigned(ctx) || refusesToken(answer);

const isSigned = ({ method }: GrantContext): boolean => method.grant === 'oauth1' && method.response.api_key === undefined;

async function endRefused(world: World, { project_id, id, integration_id, token_version }: ConnectionRecord): Promise<void> {
  const data = { reason: 'probe_refused', next: 'Make a connect link with this connection_id.' };
  const event = { project_id, integration_id, connection_id: id, type: 'connection.reauthorization_required', data } as const;
  if (await world.store.probes.refused({ project_id, id, token_version }, [event]))
    world.log.warn({ connection: id }, 'the provider refuses the credential of a connection');
}

const atOnce = 5;
/** Connections that are due and not reached in so long wait for another round. */
const roundMs = 45_000;
/** A probe that said nothing, or was not sent, is due again after this. */
const laterS = 900;

/**
 * Probes connections that nobody has used for the time that their integration names: what is dead is found before a user finds it.
 * A host that is known to be down, or does not answer one of them, is left alone. Returns how many had an answer that says something.
 */
export async function probeUnused(world: World, limit: number): Promise<number> {
  const untilMs = world.elapsedMs() + roundMs;
  const due = await world.store.probes.due(limit);
  const away = new Set<string>();
  const late: string[] = [];
  let answered = 0;

  async function worker(): Promise<void> {
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      if (world.elapsedMs() < untilMs && (await probeOne(world, next, away))) answered += 1;
      else late.push(next.id);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (late.length > 0) await world.store.probes.postpone(late, laterS);
  return answered;
}

/** False when it should be tried again soon. */
async function probeOne(world: World, { project_id, id }: Pick<ConnectionRecord, 'project_id' | 'id'>, away: Set<string>): Promise<boolean> {
  try {
    const row = await world.store.tokens.byProject(project_id, id);
    if (row === undefined) return true;
    const { status } = await probeThrough(world, row, sparing(world, away, row));
    return !isTransientStatus(status);
  } catch (error) {
    const known = isGrantryError(error);
    const why = known ? error.code : error instanceof Error ? error.name : typeof error;
    world.log[known ? 'debug' : 'error']({ connection: id, error: why }, 'a probe came to nothing');
    return !(known && error.retryable);
  }
}

/**
 * A door for probes alone that spares hosts: those that are known to be down, and those that were away when another probe of this round
 * asked: an address that cannot be reached is away for all. Of an answer only probes of the same project think so, for its own definition may have
 * asked for what is not there; and of a crowd, which may be of its making.
 */
function sparing({ door, hosts }: World, away: Set<string>, { project_id, integration_id, own_version }: TokenRow): Door {
  return async (request) => {
    const { hostname, origin } = new URL(request.url);
    const ours = JSON.stringify([hostname, project_id]);
    const asked = hosts.ask({ host: hostname, project: project_id, integration: integration_id, address: own_version === null ? 'shipped' : 'own' });
    // Says nothing of the host's health to the refreshes: an API may be down whose tokens are fine.
    if (asked.kind === 'go') asked.ticket.end('unused');
    if (asked.kind === 'wait' || away.has(origin) || away.has(ours))
      throw new GrantryError('provider_unavailable', { detail: 'The provider is left alone for now.' });
    try {
      const answer = await door(request);
      if (isTransientStatus(answer.status)) away.add(ours);
      return answer;
    } catch (error) {
      if (isGrantryError(error) && error.retryable) away.add(isUnreachable(error) ? origin : ours);
      throw error;
    }
  };
}

const isUnreachable = ({ code, details }: GrantryError): boolean => code === 'provider_unreachable' && details.nature !== 'crowded';
