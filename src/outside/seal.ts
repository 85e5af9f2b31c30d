import type { DataKeyStore, Place, Seal } from '../broker/seal.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { createDataKeys, type DataKey } from './data-keys.ts';
import { decryptJwe, encryptJwe, integrityError, type JweParts, parseProtectedHeader, splitJwe, toBase64url } from './jwe.ts';
import type { KeyProvider } from './key-provider.ts';
import { createRecent } from './recent.ts';

const algorithm = 'dir';
const encryption = 'A256GCM';
const headerMembers = ['alg', 'enc', 'kid'] as const;

export type SealWorld = {
  provider: KeyProvider;
  store: DataKeyStore;
  /** How many data keys stay in memory; 10,000 when absent. */
  limit?: number;
  /** How long a project's sealing key is used before it is looked for again; 60,000 when absent. */
  sealingKeyMaxAgeMs?: number;
  /** Epoch milliseconds; the system's clock when absent. */
  nowMs?: () => number;
  /** Hears of each secret that does not open, and of a project's data key (table `data_keys`) that does not when something is to be sealed. */
  onUnopened?: (place: Pick<Place, 'project' | 'table' | 'row' | 'field'>) => void;
};

/**
 * Seals and opens with the project's data key. It cannot tell a row that was rolled back together with its version
 * column: whoever may write to the database can restore an old state of it as a whole.
 */
export function createSeal(world: SealWorld): Seal {
  const dataKeys = createDataKeys(world);
  const kids = createRecent<string>(world.limit ?? 10_000);

  /** The same few headers come again and again. */
  function kidOf(protectedHeader: string): string {
    const known = kids.get(protectedHeader);
    if (known !== undefined) return known;
    const kid = kidOfHead(protectedHeader);
    kids.set(protectedHeader, kid);
    return kid;
  }

  function told(error: unknown, place: Parameters<NonNullable<SealWorld['onUnopened']>>[0]): unknown {
    if (isGrantryError(error, 'integrity_error')) world.onUnopened?.(place);
    return error;
  }

  async function keyForSealing(project: string): Promise<DataKey> {
    try {
      return await dataKeys.forSealing(project);
    } catch (error) {
      throw told(error, { project, table: 'data_keys', row: project, field: 'wrapped' });
    }
  }

  return {
    async seal(place, plaintext) {
      const aad = boundTo(place);
      const { kid, key } = await keyForSealing(place.project);
      return encryptJwe({ key, protectedHeader: headerOf(kid), aad, plaintext });
    },
    async open(place, sealed) {
      try {
        const parts = splitJwe(sealed);
        return decrypt(await dataKeys.forOpening(place.project, kidOf(parts.protectedHeader)), place, parts);
      } catch (error) {
        throw told(error, place);
      }
    },
    async ready(project) {
      await keyForSealing(project);
    },
    openCached(place, sealed) {
      try {
        const parts = splitJwe(sealed);
        const dataKey = dataKeys.inMemory(place.project, kidOf(parts.protectedHeader));
        return dataKey === undefined ? undefined : decrypt(dataKey, place, parts);
      } catch (error) {
        throw told(error, place);
      }
    },
  };
}

/** The data key that the head of a sealed text, which is its protected header, names. Throws `integrity_error`. */
export function kidOfHead(head: string): string {
  const { alg, enc, kid } = parseProtectedHeader(head, headerMembers);
  if (alg !== algorithm || enc !== encryption) throw integrityError('A stored secret uses an algorithm that we never use.');
  return kid;
}

function decrypt({ key }: DataKey, place: Place, parts: JweParts): string {
  try {
    return decryptJwe({ key, parts, aad: boundTo(place) });
  } catch (cause) {
    throw integrityError(
      `A stored secret does not open: it was altered, moved or rolled back (${place.table}, ${place.row}, ${place.field}).`,
      cause,
    );
  }
}

/** A list in JSON is unambiguous whatever the names hold; the first number is the version of this encoding. */
function boundTo({ project, table, row, field, version }: Place): string {
  if (!Number.isSafeInteger(version) || version < 0) throw integrityError('The version of a stored secret is not a whole number.');
  return JSON.stringify([1, project, table, row, field, version]);
}

function headerOf(kid: string): string {
  return toBase64url(JSON.stringify({ alg: algorithm, enc: encryption, kid }));
}
