import type { Refreshes } from '../../src/broker/store.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { openText } from './seal.ts';
import type { Stage } from './stage.ts';
import type { Life } from './virtual-time.ts';

/** The line between a process and Postgres: it takes time, it breaks, and what was sent arrives whether or not its sender still lives. */

/** A statement without an answer is given up after so long. */
const silenceMs = 20_000;
const away = () => new GrantryError('unavailable', { detail: 'The database does not answer.', retryAfterS: 2 });
const never = new Promise<never>(() => {});

/** The same group of methods, as this process reaches them. */
export function overLine<Group extends object>(stage: Stage, life: Life, group: Group): Group {
  const { time, chance } = stage;

  /** The credential that a statement brings, if it is one that saves a refresh. */
  const brought = (name: string, args: readonly unknown[]): string | undefined =>
    name === 'commit' ? JSON.parse(openText((args as Parameters<Refreshes['commit']>)[1].credential_sealed ?? '')).access_token : undefined;

  function statement(name: string, args: readonly unknown[], effect: () => Promise<unknown>): Promise<unknown> {
    if (!life.alive) return never;
    const fault = stage.storeFault(name);
    stage.trace?.(life.name, `${name}${fault === undefined ? '' : ` (${fault})`}`);
    if (fault === 'crash_before') {
      stage.crash(life);
      return never;
    }
    if (fault === 'outage' || fault === 'outage_and_crash') stage.leave('stopped', 10_000 + chance.below(60_000));
    if (fault === 'outage_and_crash') time.after(2_000, () => stage.crash(life), life);
    return new Promise((resolve, reject) => {
      const begunMs = time.nowMs();
      const lose = (): void => {
        stage.ledger.notSaved(brought(name, args), 'trouble');
        reject(away());
      };
      const fail = (ms: number) => time.after(ms, lose, life);

      async function arrive(): Promise<void> {
        const { away: outage } = stage.postgres;
        if (fault === 'before' || outage?.how === 'stopped') return void fail(1);
        if (outage?.how === 'silent') {
          // Sent again by the kernel until somebody hears it.
          const givenUpMs = begunMs + silenceMs;
          if (outage.untilMs >= givenUpMs) return void fail(givenUpMs - time.nowMs());
          return void time.after(outage.untilMs - time.nowMs() + 1, () => void arrive());
        }
        if (fault === 'skipped') return void time.after(1, () => resolve(undefined), life);
        const doneMs = time.nowMs();
        stage.caller = life;
        const outcome = effect();
        stage.caller = undefined;
        const answer = await outcome;
        if (answer === undefined) stage.ledger.notSaved(brought(name, args), 'overtaken');
        if (fault === 'crash_after') return stage.crash(life);
        if (fault === 'after') return void fail(chance.below(2) < 1 ? 1 : silenceMs);
        time.after(1 + chance.below(4), () => deliver(answer, doneMs), life);
      }
      function deliver(answer: unknown, doneMs: number): void {
        const isCut = stage.postgres.awaySinceMs >= doneMs;
        if (!isCut) return resolve(answer);
        const { away: outage } = stage.postgres;
        if (outage?.how === 'silent' && outage.untilMs < begunMs + silenceMs)
          time.after(outage.untilMs - time.nowMs() + 1, () => resolve(answer), life);
        else lose();
      }
      time.after((fault === 'late' ? 5_000 : 0) + 1 + chance.below(4), () => void arrive());
    });
  }

  const methods = new Map<string | symbol, unknown>();
  return new Proxy(group, {
    get(target, name) {
      const known = methods.get(name);
      if (known !== undefined) return known;
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      const guarded = (...args: unknown[]) => statement(String(name), args, () => Reflect.apply(method, target, args) as Promise<unknown>); // a method of a store
      methods.set(name, guarded);
      return guarded;
    },
  });
}
