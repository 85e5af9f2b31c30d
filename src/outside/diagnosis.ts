import type pg from 'pg';
import type { Diagnosis } from '../broker/diagnosis.ts';
import type { DataKeyStore } from '../broker/seal.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { checkCanary } from './canary.ts';
import type { KeyProvider } from './key-provider.ts';

/** Looks at what the broker stands on: Postgres and the keys. */

/** The longest difference of clocks that nothing suffers from, in seconds. */
const mostSkewS = 5;
/** Postgres 13 and older get no fixes any more. */
const oldestMajor = 14;

/**
 * Whether Postgres answers, which one it is, whether its clock and ours agree (it decides what is due), whether it saves
 * before it says so, and whether its rows are kept apart by project. `isEmbedded`: the one for development.
 */
export async function diagnosePostgres(pool: pg.Pool, now: () => Date, isEmbedded: boolean): Promise<Diagnosis> {
  const check = 'database' as const;
  try {
    const sentMs = now().getTime();
    const { rows } = await pool.query<{ version: string; now: Date; forgetful: boolean; unbound: boolean }>(
      `select current_setting('server_version') as version, clock_timestamp() as now, current_setting('synchronous_commit') = 'off' as forgetful,
        (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) as unbound`,
    );
    const [row] = rows;
    const middleMs = (sentMs + now().getTime()) / 2;
    const version = row?.version ?? 'unknown';
    const skewS = Math.abs((row?.now.getTime() ?? middleMs) - middleMs) / 1000;
    if (skewS > mostSkewS)
      return {
        check,
        outcome: 'warning',
        what: `The clocks of Postgres and this process are ${Math.round(skewS)} s apart.`,
        advice: 'Keep both with NTP: Postgres decides what is due.',
      };
    if (Number.parseInt(version, 10) < oldestMajor)
      return { check, outcome: 'warning', what: `Postgres ${version} answers.`, advice: `Upgrade it to ${oldestMajor} or later.` };
    if (row?.forgetful === true)
      return {
        check,
        outcome: 'warning',
        what: `Postgres ${version} answers, and says that something is saved before it is on the disk (synchronous_commit = off).`,
        advice:
          'Turn it on for this database: credentials are saved safely all the same, but a crash forgets audit entries, webhooks and revocations.',
      };
    if (row?.unbound === true)
      return {
        check,
        outcome: 'warning',
        what: `Postgres ${version} answers, to a role for which row-level security does not hold.`,
        advice: isEmbedded
          ? 'The data directory is of an earlier version: with a new one, Postgres too keeps the projects apart.'
          : 'Use a role that owns the database and is no superuser: then Postgres too keeps the projects apart.',
      };
    return { check, outcome: 'ok', what: `Postgres ${version} answers, and its clock agrees with ours.` };
  } catch {
    return { check, outcome: 'failed', what: 'Postgres does not answer.', advice: 'Look at DATABASE_URL, at the server, and at what is between.' };
  }
}

/** Whether the keys are those that this database was sealed with. `isMade`: they lie in a file that the broker made for itself. */
export async function diagnoseKeys(provider: KeyProvider, store: Pick<DataKeyStore, 'canary' | 'setCanary'>, isMade: boolean): Promise<Diagnosis> {
  const check = 'keys' as const;
  let stored: string | undefined;
  try {
    stored = await store.canary();
  } catch {
    return { check, outcome: 'warning', what: 'The keys could not be tried: Postgres does not answer.', advice: 'Mend the database first.' };
  }
  let current: string;
  try {
    await checkCanary(provider, { ...store, canary: async () => stored });
    current = await provider.current();
  } catch (error) {
    if (isGrantryError(error, 'integrity_error'))
      return {
        check,
        outcome: 'failed',
        what: 'The keys are not those that this database was sealed with.',
        advice: 'Start with the former keys: docs/keys.md.',
      };
    const what = isGrantryError(error) ? error.message : 'The keys could not be tried.';
    return { check, outcome: 'failed', what, advice: 'What is in memory goes on; nothing else can be unwrapped until that is mended.' };
  }
  if (isMade)
    return {
      check,
      outcome: 'warning',
      what: `The key ${current} lies in a file that was made at the first start.`,
      advice: 'Keep a copy elsewhere: whoever loses it loses every connection.',
    };
  return { check, outcome: 'ok', what: `The key ${current} of ${provider.name} can open what is sealed.` };
}
