import type { Provider } from './provider.ts';
import { openText } from './seal.ts';
import type { Stage } from './stage.ts';
import type { Violation } from './violations.ts';

/** What is not yet as it has to be when things are quiet. */
export function quietViolations(stage: Stage, connections: readonly { id: string; provider: Provider }[]): Violation[] {
  const { time, ledger, store, scenario } = stage;
  const found: Violation[] = [];
  const violated = (guarantee: Violation['guarantee'], message: string) => found.push({ guarantee, atMs: time.nowMs(), message });

  for (const { id, provider } of connections) {
    const row = store.tables.connections.get(id);
    if (row === undefined || row.deleted_at !== null || row.credential_sealed === null) continue;
    const { access_token } = JSON.parse(openText(row.credential_sealed));
    const grant = provider.grantOf(access_token);
    const isStopped = row.status === 'reauthorization_required' && row.reason === 'stopped';
    if (isStopped) continue;
    if (grant === undefined) violated('honest_tokens', `${id} holds a token that its provider never gave`);
    else if (grant.end === undefined) {
      const isAlive = (provider.tokenEndsMs(access_token) ?? 0) > time.nowMs();
      if (row.status !== 'active') violated('no_false_alarm', `the grant ${grant.id} of ${id} lives, and ${id} is ${row.status} (${row.reason})`);
      else if (!isAlive) violated('no_false_alarm', `${id} is active and its token has ended`);
    } else if (grant.end === 'revoked_by_us') violated('outages_kill_nobody', `the broker gave back the grant ${grant.id} that ${id} uses`);
    else if (scenario.refusals === 'bare' && row.status === 'refresh_failing' && row.last_error?.code === 'invalid_client') continue;
    else if (row.status !== 'reauthorization_required')
      violated('told_losses', `the grant ${grant.id} of ${id} is gone (${grant.end}), and ${id} is ${row.status}`);
  }
  for (const { connection, version, life, fate, accessToken } of ledger.arrived.values()) {
    if (fate === 'held')
      violated('answers_are_saved', `${accessToken}, the credential after version ${version} of ${connection}, is with ${life.name} still`);
  }
  return found;
}
