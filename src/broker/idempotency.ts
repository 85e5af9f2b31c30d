import { GrantryError } from '../protocol/errors.ts';
import { idempotencyPlace } from './places.ts';
import { sha256 } from './secrets.ts';
import type { World } from './world.ts';

/** What is repeated for a repeated request. */
export type Answer = { status: number; body: unknown };

/**
 * Runs `work` once for one caller and one key within 24 hours; later calls with the same request get the same answer. Only
 * answers that say "done" (2xx) are kept: a refused request may be sent again. The answer is kept sealed.
 * Throws `idempotency_mismatch` (another request under this key) and `idempotency_conflict` (still running).
 */
export async function once(
  world: World,
  { project, caller, key, fingerprint }: { project: string; caller: string; key: string; fingerprint: string },
  work: () => Promise<Answer>,
): Promise<Answer & { repeated: boolean }> {
  const before = await world.store.idempotency.begin(project, caller, key, sha256(fingerprint));
  const place = idempotencyPlace(project, caller, key);
  if (before !== undefined) {
    if (before.kind === 'mismatch') throw new GrantryError('idempotency_mismatch');
    if (before.kind === 'running') throw new GrantryError('idempotency_conflict', { retryAfterS: 1 });
    return { status: before.status, body: JSON.parse(await world.seal.open(place, before.answer_sealed)), repeated: true };
  }
  let answer: Answer;
  try {
    answer = await work();
  } catch (error) {
    // The first failure is the one to tell; a key that could not be given up frees itself after two minutes.
    await world.store.idempotency.abandon(project, caller, key).catch(() => world.log.warn({}, 'an Idempotency-Key could not be given up'));
    throw error;
  }
  await world.store.idempotency.finish(project, caller, key, {
    status: answer.status,
    answer_sealed: await world.seal.seal(place, JSON.stringify(answer.body ?? null)),
  });
  return { ...answer, repeated: false };
}
