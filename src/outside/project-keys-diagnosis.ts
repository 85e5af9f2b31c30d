import { randomBytes } from 'node:crypto';
import type { Diagnosis } from '../broker/diagnosis.ts';
import type { KeyUpkeep } from '../broker/key-records.ts';
import type { DataKeyRecord, DataKeyStore } from '../broker/seal.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { dataKeyContext } from './data-keys.ts';
import { type KeyProvider, wrapSurely } from './key-provider.ts';
import { type OwnKey, type OwnKeys, ownedOf, projectOfId } from './project-keys.ts';

/** Looks at the master keys that projects bring. Nothing of a key is told, and whoever may be away is asked beside the others. */

const check = 'project_keys' as const;
const rotate = 'Rotate: grantry encryption rotate.';

/** What is stored of the project's data keys, and its own key, put to the test. */
type Trial = { provider: KeyProvider; project: string; key: OwnKey; sealing: DataKeyRecord | undefined };

async function tryOne({ provider, project, key, sealing }: Trial): Promise<Diagnosis> {
  const isOwned = sealing !== undefined && ownedOf(sealing.wrapped) !== undefined;
  try {
    if (isOwned) await provider.unwrap(dataKeyContext(sealing), sealing.wrapped);
    if (key.use === 'wrap') await wrapSurely(provider, ['data_key', project, 'diagnosis'], randomBytes(32));
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    const advice =
      error.code === 'integrity_error'
        ? 'Name the key that has wrapped its data keys, as former one perhaps: docs/keys.md.'
        : 'What is in memory goes on, and so do all other projects; nothing else of this one can be unwrapped until that is mended.';
    return { check, outcome: 'failed', what: `The master key of the project ${project} does not work: ${error.message}`, advice };
  }
  if (key.use === 'wrap' && sealing !== undefined && !isOwned)
    return { check, outcome: 'warning', what: `The project ${project} brings a master key, which has not wrapped its data key yet.`, advice: rotate };
  if (key.use === 'unwrap' && isOwned)
    return {
      check,
      outcome: 'warning',
      what: `The data key of the project ${project} is still wrapped by the key that it gives up.`,
      advice: rotate,
    };
  return { check, outcome: 'ok', what: `The master key of the project ${project} works.` };
}

type Stores = { dataKeys: Pick<DataKeyStore, 'list'>; keyUpkeep: Pick<KeyUpkeep, 'masterKeysInUse'> };

/** One word on each project that brings, gives up or has taken away a master key of its own. `provider` goes by projects. */
export async function diagnoseProjectKeys(provider: KeyProvider, own: OwnKeys, { dataKeys, keyUpkeep }: Stores): Promise<Diagnosis[]> {
  try {
    const named = (await keyUpkeep.masterKeysInUse()).map((id) => projectOfId(id)?.project).filter((project) => project !== undefined);
    const forsaken = [...new Set(named)].filter((project) => !own.has(project));
    const tried = [...own].map(async ([project, key]) => {
      const sealing = (await dataKeys.list(project)).find(({ retired_at }) => retired_at === null);
      return tryOne({ provider, project, key, sealing });
    });
    return [
      ...(await Promise.all(tried)),
      ...forsaken.map((project): Diagnosis => {
        const what = `The data key of the project ${project} is wrapped by a key of its own, which is named no more: what it has sealed does not open.`;
        return { check, outcome: 'warning', what, advice: 'Name that key again in GRANTRY_PROJECT_KEYS_FILE, or delete the project.' };
      }),
    ];
  } catch {
    return [
      {
        check,
        outcome: 'warning',
        what: 'The master keys of projects could not be tried: Postgres does not answer.',
        advice: 'Mend the database first.',
      },
    ];
  }
}
