import { isGrantryError } from '../protocol/errors.ts';
import type { Damage, Resealed, SealedRow, SealedTable, TableProgress } from './key-records.ts';
import { placeOf } from './sealed-places.ts';
import type { World } from './world.ts';

/** Goes through a slice of a table, and seals anew what is sealed with a data key that no longer seals. */

/** What somebody else changes in the same moment is looked at again so often. */
const mostTries = 5;

type SealingWorld = Pick<World, 'store' | 'seal' | 'keys'>;
export type Slice = { progress: TableProgress /** Data keys that something in the slice still needs. */; kept: readonly string[] };

type Outcome = { resealed: number; damage: Damage[]; left: number; kept: Set<string> };

/** The data key that a head names; undefined for what is no head of ours. */
function kidOf(world: SealingWorld, head: string): string | undefined {
  try {
    return world.keys.kidOf(head);
  } catch (error) {
    if (isGrantryError(error, 'integrity_error')) return undefined;
    throw error;
  }
}

const headOf = (sealed: string) => sealed.split('.', 1)[0] ?? '';

/** Tells heads whose key seals now. */
async function currentHeads(world: SealingWorld, heads: Iterable<string>): Promise<(head: string) => boolean> {
  const kids = new Map([...new Set(heads)].map((head) => [head, kidOf(world, head)]));
  const current = new Set(await world.store.keyUpkeep.currentOf([...new Set([...kids.values()].filter((kid) => kid !== undefined))]));
  return (head) => current.has(kids.get(head) ?? '');
}

/**
 * Each ciphertext is replaced only if it is still the one that was opened: a refresh that comes in between wins. Rejects with `unavailable` when
 * keys or rows cannot be read now; what does not open is damage, and holds up nothing.
 */
async function resealRows(world: SealingWorld, table: SealedTable, keys: readonly (readonly string[])[]): Promise<Outcome> {
  const outcome: Outcome = { resealed: 0, damage: [], left: 0, kept: new Set() };
  let pending = keys;
  for (let tries = 1; pending.length > 0; tries += 1) {
    const rows = await world.store.sealedRows.read(table, pending);
    const texts = rows.flatMap((row) => Object.entries(row.sealed).flatMap(([column, sealed]) => (sealed === null ? [] : [{ row, column, sealed }])));
    const isCurrent = await currentHeads(
      world,
      texts.map(({ sealed }) => headOf(sealed)),
    );
    const old = texts.filter(({ sealed }) => !isCurrent(headOf(sealed)));
    const changes: Resealed[] = [];
    outcome.damage = [];
    for (const { row, column, sealed } of old) {
      const to = await anew(world, table, row, column, sealed);
      if (to !== undefined) changes.push({ key: row.key, column, from: sealed, to });
      else {
        outcome.damage.push({ table, row: row.key, field: column.replace(/_sealed$/, ''), project_id: row.project_id });
        outcome.kept.add(kidOf(world, headOf(sealed)) ?? '');
      }
    }
    const replaced = await world.store.sealedRows.replace(table, changes);
    outcome.resealed += replaced;
    if (replaced === changes.length) return outcome;
    if (tries === mostTries) {
      for (const { from } of changes) outcome.kept.add(kidOf(world, headOf(from)) ?? '');
      return { ...outcome, left: changes.length - replaced };
    }
    pending = changes.map(({ key }) => key);
  }
  return outcome;
}

async function anew(world: SealingWorld, table: SealedTable, row: SealedRow, column: string, sealed: string): Promise<string | undefined> {
  const place = placeOf(table, row, column);
  try {
    return await world.seal.seal(place, await world.seal.open(place, sealed));
  } catch (error) {
    if (isGrantryError(error, 'integrity_error')) return undefined;
    throw error;
  }
}

/** The next `limit` rows of a table. */
export async function resealSlice(world: SealingWorld, table: SealedTable, progress: TableProgress, limit: number): Promise<Slice> {
  const rows = await world.store.sealedRows.heads(table, progress.after, limit);
  const isCurrent = await currentHeads(
    world,
    rows.flatMap(({ heads }) => heads.filter((head) => head !== null)),
  );
  const old = rows.filter(({ heads }) => heads.some((head) => head !== null && !isCurrent(head)));
  const { resealed, damage, left, kept } = await resealRows(
    world,
    table,
    old.map(({ key }) => key),
  );
  await world.store.damagedSecrets.note(damage);
  return {
    progress: {
      ...progress,
      done: progress.done + rows.length,
      resealed: progress.resealed + resealed,
      damaged: progress.damaged + damage.length,
      left: progress.left + left,
      after: rows.at(-1)?.key ?? progress.after,
      ended: rows.length < limit,
    },
    kept: [...kept].filter((kid) => kid !== ''),
  };
}
