import { openCredential } from '../../src/broker/credentials.ts';
import { GrantryProblem } from '../../src/client/client.ts';
import type { Connected, Stage } from './stage.ts';

/** What became of connections, asked of the broker, of its database and of the provider, when all is quiet. */

export type Fate =
  /** Refreshed by the first request that was sent. */
  | 'refreshed'
  /** Refreshed, after an attempt of which nobody knows what came. */
  | 'retried'
  /** The grant is dead at the provider, and the connection says so, and why, and has its event. */
  | 'lost'
  /** A token of somebody else. */
  | 'wrong'
  /** Anything else: dead though it says that it lives, alive though it says that it is dead, or not to be had. */
  | 'silent';
export type Judged = { connection: Connected; fate: Fate; detail: string };

/** Whose token it is, as the provider says. */
export async function ownerOf({ as }: Stage, accessToken: string): Promise<string | undefined> {
  const answer = await fetch(`${as.url}/api/me`, { headers: { authorization: `Bearer ${accessToken}` } });
  const body = (await answer.json()) as { id?: string };
  return answer.ok ? (body.id ?? '') : undefined;
}

type Row = { status: string; reason: string | null; token_version: number; attempts: number | null };

/**
 * @param version the connection's token version before it was made due
 * @param mayBeLost whether a process that held its lease was ended the hard way
 */
export async function judge(stage: Stage, connection: Connected, version: number, mayBeLost: boolean): Promise<Judged> {
  const [row] = await stage.sql<Row>(
    `select c.status, c.reason, c.token_version, r.attempts from connections c
     left join refresh_intents r on r.connection_id = c.id and r.token_version = $2 where c.id = $1`,
    [connection.id, version],
  );
  const verdict = (fate: Fate, detail = ''): Judged => ({ connection, fate, detail: `${connection.id}: ${detail} ${JSON.stringify(row)}` });
  if (row === undefined) return verdict('silent', 'the row is gone');
  const token = await stage.web.getToken(connection.id).catch((error: unknown) => (error instanceof GrantryProblem ? error : Promise.reject(error)));
  if (!(token instanceof GrantryProblem)) {
    const owner = await ownerOf(stage, token.access_token ?? '');
    if (owner === undefined) return verdict('silent', 'a token was handed out that is dead');
    if (owner !== connection.user) return verdict('wrong', `the token of ${owner}`);
    if (row.status !== 'active' || row.token_version !== version + 1) return verdict('silent', 'not refreshed once');
    return verdict(row.attempts === 1 ? 'refreshed' : 'retried');
  }
  if (token.code !== 'reauthorization_required') return verdict('silent', `answered with ${token.code}`);
  if (!mayBeLost) return verdict('silent', 'lost, though nobody died who held its lease');
  if (row.reason !== 'crash_during_rotation' || token.problem.reason !== row.reason) return verdict('silent', 'lost for another reason');
  const told = await stage.sql(
    `select 1 from events where connection_id = $1 and type = 'connection.reauthorization_required' and data->>'reason' = 'crash_during_rotation'`,
    [connection.id],
  );
  if (told.length !== 1) return verdict('silent', `lost, with ${told.length} events`);
  const stored = await stage.broker.world.store.connections.get('default', connection.id);
  if (stored === undefined) return verdict('silent', 'the row is gone');
  const last = (await openCredential(stage.broker.world, stored)).reveal().access_token;
  if ((await ownerOf(stage, last)) !== undefined) return verdict('silent', 'called lost, though the grant lives');
  return verdict('lost');
}

/** Events of which no webhook ever came. */
export async function untold({ sql, receiver }: Stage, since: Date): Promise<string[]> {
  const rows = await sql<{ id: string; type: string }>('select id, type from events where created_at >= $1', [since]);
  return rows.filter(({ id }) => !receiver.seen.has(id)).map(({ id, type }) => `${id} ${type}`);
}
