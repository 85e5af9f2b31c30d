import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { Damage, Resealed, SealedRow, SealedTable, TableProgress } from './key-records.ts';
import { placeOf } from './sealed-places.ts';
import type { World } from './world.ts';

/** Goes through a slice of a table, and seals anew what is sealed with a data key that no longer seals. */

/** How much of a table is gone through at once, and the projects whose own master keys turned out to be away: they are not asked again. */
export type SliceOptions = { limit: number; away: Set<string> };

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

type Old = { row: SealedRow; column: string; sealed: string };
/** `away`: a project's own master key is needed, and cannot be asked. */
type Anew = { kind: 'sealed'; to: string } | { kind: 'damaged' } | { kind: 'away' };

/**
 * Each ciphertext is replaced only if it is still the one that was opened: a refresh that comes in between wins. Rejects with `unavailable` when
 * keys or rows cannot be read now; what does not open is damage, and holds up nothing, nor does a project's own master key that is away: its rows are left.
 */
async function resealRows(
  world: SealingWorld,
  table: SealedTable,
  keys: readonly (readonly string[])[],
  { away }: Pick<SliceOptions, 'away'>,
): Promise<Outcome> {
  const outcome: Outcome = { resealed: 0, damage: [], left: 0, kept: new Set() };
  const damaged = new Map<string, Damage>();
  const left = new Set<string>();
  const ended = (more = 0): Outcome => ({ ...outcome, damage: [...damaged.values()], left: left.size + more });
  const keep = (sealed: string) => outcome.kept.add(kidOf(world, headOf(sealed)) ?? '');
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
    for (const { row, column, sealed, anew } of await sealAnew(world, table, old, away)) {
      const field = JSON.stringify([row.key, column]);
      if (anew.kind === 'sealed') changes.push({ key: row.key, column, from: sealed, to: anew.to });
      else keep(sealed);
      if (anew.kind === 'damaged') damaged.set(field, { table, row: row.key, field: column.replace(/_sealed$/, ''), project_id: row.project_id });
      if (anew.kind === 'away') left.add(field);
    }
    const replaced = await world.store.sealedRows.replace(table, changes);
    outcome.resealed += replaced;
    if (replaced === changes.length) return ended();
    if (tries === mostTries) {
      for (const { from } of changes) keep(from);
      return ended(changes.length - replaced);
    }
    pending = changes.map(({ key }) => key);
  }
  return ended();
}

/** In the order in which they come; projects with a master key of their own wait for nobody else, and nobody for them. */
async function sealAnew(world: SealingWorld, table: SealedTable, old: readonly Old[], away: Set<string>): Promise<(Old & { anew: Anew })[]> {
  const results = new Map<Old, Anew>();
  const ownOf = ({ row }: Old) => (world.keys.ownProjects.has(row.project_id) ? row.project_id : undefined);
  await Promise.all(
    [...new Set(old.map(ownOf))].map(async (own) => {
      for (const each of old.filter((one) => ownOf(one) === own)) results.set(each, await anewUnlessAway(world, table, each, { own, away }));
    }),
  );
  const anew = [...results.values()].flatMap((one) => (one.kind === 'sealed' ? [headOf(one.to)] : []));
  const isCurrent = await currentHeads(world, anew);
  return old.map((each) => {
    const one = results.get(each) ?? { kind: 'away' };
    if (one.kind !== 'sealed' || isCurrent(headOf(one.to))) return { ...each, anew: one };
    // A process goes on sealing with the key that it knows while the new one cannot be unwrapped: that would be destroyed under what it has sealed.
    if (ownOf(each) === undefined) throw new GrantryError('unavailable', { detail: 'The new data key of a project cannot be unwrapped now.' });
    return { ...each, anew: { kind: 'away' } };
  });
}

type Owner = { own: string | undefined; away: Set<string> };

async function anewUnlessAway(world: SealingWorld, table: SealedTable, { row, column, sealed }: Old, { own, away }: Owner): Promise<Anew> {
  if (own !== undefined && away.has(own)) return { kind: 'away' };
  const place = placeOf(table, row, column);
  try {
    return { kind: 'sealed', to: await world.seal.seal(place, await world.seal.open(place, sealed)) };
  } catch (error) {
    if (isGrantryError(error, 'integrity_error')) return { kind: 'damaged' };
    if (own === undefined || !isGrantryError(error, 'unavailable')) throw error;
    away.add(own);
    return { kind: 'away' };
  }
}

/** The next `limit` rows of a table. */
export async function resealSlice(world: SealingWorld, table: SealedTable, progress: TableProgress, { limit, away }: SliceOptions): Promise<Slice> {
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
    { away },
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
