import type { DataKeyRecord, NewDataKey } from './seal.ts';

/** What the store keeps of changes of the keys, and of the rows that are sealed with them. */

/** The tables with sealed columns, in the order in which they are gone through: what is deleted moves from connections to revocations. */
export const sealedTables = ['connections', 'integrations', 'webhook_endpoints', 'connect_links', 'revocations', 'idempotency_keys'] as const;
export type SealedTable = (typeof sealedTables)[number];

/** `rotate`: new keys for everything. `clear`: looks for what still needs the retired keys, and destroys those that nothing needs. */
export type RotationKind = 'rotate' | 'clear';
/**
 * `keys`: data keys are made and wrapped. `settling`: processes may seal with the old ones for a little while. `rows`: everything is sealed
 * anew. A `clear` gives way to a `rotate`: `superseded`.
 */
export type RotationPhase = 'keys' | 'settling' | 'rows' | 'done' | 'superseded';

export type TableProgress = {
  /** Rows when it began. */
  total: number;
  /** Rows gone through. */
  done: number;
  /** Fields sealed anew. */
  resealed: number;
  /** Fields that do not open. */
  damaged: number;
  /** Fields that changed under our hands each time, and those whose key is away. */
  left: number;
  /** The primary key of the last row that was gone through. */
  after: string[] | null;
  ended: boolean;
};
export type Walk = Partial<Record<SealedTable, TableProgress>>;

export type RotationRecord = {
  id: string;
  kind: RotationKind;
  phase: RotationPhase;
  walk: Walk;
  /** Old data keys that something still needs. */
  kept: string[];
  started_at: Date;
  keys_changed_at: Date | null;
  rows_begun_at: Date | null;
  finished_at: Date | null;
  /** How many data keys it has destroyed. */
  destroyed: number;
  /** Why it does not get on, or what it had to leave out; null while there is nothing of that. */
  problem: string | null;
};

/** Which projects are meant. */
export type WhichProjects = { readonly only: string } | { readonly allBut: readonly string[] };

/** A rotation that a worker has taken; `sinceKeysMs`: how long ago the keys were changed. */
export type TakenRotation = { rotation: RotationRecord; lease: string; sinceKeysMs: number };
/** `now`: by Postgres's clock. */
export type RotationChange = Partial<Pick<RotationRecord, 'phase' | 'walk' | 'kept' | 'destroyed' | 'problem'>> & {
  keys_changed_at?: 'now';
  rows_begun_at?: 'now';
  finished_at?: 'now';
};

export type Rotations = {
  /** Begins a rotation; the one that runs when one does. One that clears gives way. */
  begin(id: string): Promise<RotationRecord>;
  /** Begins to clear when a key was retired longer ago than `graceS`, nothing runs, and the last look is a day old. */
  beginClearing(id: string, graceS: number): Promise<void>;
  /** Begins the last one again, for what it had to leave out, unless another one runs. */
  reopen(id: string): Promise<void>;
  /** The last one that was asked for. */
  latest(): Promise<RotationRecord | undefined>;
  /** Takes the one that runs, for `leaseS`; undefined when there is none or another worker has it. */
  take(lease: string, leaseS: number): Promise<TakenRotation | undefined>;
  /** Writes down how far it is, and keeps it for `leaseS` more. False when it is no longer ours. */
  save(taken: Pick<TakenRotation, 'rotation' | 'lease'>, change: RotationChange, leaseS: number): Promise<boolean>;
};

/** A sealed field that does not open. `row`: the primary key. */
export type Damage = { table: SealedTable; row: readonly string[]; field: string; project_id: string };
export type DamageRecord = { table_name: string; row_id: string; field: string; project_id: string; found_at: Date };

export type DamagedSecrets = {
  note(damage: readonly Damage[]): Promise<void>;
  /** What this rotation went past and did not note has been mended. */
  forgetMended(rotationId: string): Promise<void>;
  list(limit: number): Promise<{ count: number; items: DamageRecord[] }>;
};

/** Names of the rows of a slice, and what names the data key of each sealed column: null where the column is empty. */
export type RowHeads = { key: string[]; heads: (string | null)[] };
export type SealedRow = { key: string[]; project_id: string; version: number; sealed: Record<string, string | null> };
export type Resealed = { key: readonly string[]; column: string; from: string; to: string };

export type SealedRows = {
  count(table: SealedTable): Promise<number>;
  /** Rows in the order of their primary key. */
  heads(table: SealedTable, after: readonly string[] | null, limit: number): Promise<RowHeads[]>;
  read(table: SealedTable, keys: readonly (readonly string[])[]): Promise<SealedRow[]>;
  /** Replaces each ciphertext that is still the one it was; how many were. */
  replace(table: SealedTable, changes: readonly Resealed[]): Promise<number>;
  /** How many sealed fields begin with each head. Looks at the whole table. */
  countByHead(table: SealedTable): Promise<{ head: string; count: number }[]>;
};

export type KeySummary = Pick<DataKeyRecord, 'kid' | 'project_id' | 'wrapped_by' | 'created_at' | 'retired_at'>;

export type KeyUpkeep = {
  /** Current data keys that were there before the rotation began, in the order of their projects. */
  unturned(rotationId: string, projects: WhichProjects, { after, limit }: { after: string; limit: number }): Promise<DataKeyRecord[]>;
  /** Retires the project's key, unless that is younger than the rotation, and puts another one in its place. */
  turn(rotationId: string, next: NewDataKey): Promise<void>;
  /** Data keys that another master key has wrapped, in the order of their names. */
  wrappedOtherwise(masterKey: string, projects: WhichProjects, { after, limit }: { after: string; limit: number }): Promise<DataKeyRecord[]>;
  rewrap(record: DataKeyRecord, next: Pick<DataKeyRecord, 'wrapped' | 'wrapped_by'>): Promise<void>;
  replaceCanary(from: string, to: string): Promise<void>;
  /** Those of the named data keys that seal now. */
  currentOf(kids: readonly string[]): Promise<string[]>;
  counts(): Promise<{ current: number; retired: number; masterKeys: { id: string; data_keys: number }[] }>;
  /** The youngest first. */
  list(limit: number): Promise<KeySummary[]>;
  /** Ids of the master keys that current data keys need. */
  masterKeysInUse(): Promise<string[]>;
  /** Deletes data keys that were retired `graceS` before the rotation began to go through the rows, but for those that are kept; how many. */
  destroyRetired(rotationId: string, graceS: number, kept: readonly string[]): Promise<number>;
};

/** What changing keys needs besides the seal; `outside/key-turning.ts` is the real one. */
export type KeyTurning = {
  /** Who holds the master keys, and what a person knows that by. */
  provider: { kind: 'ring' | 'kms'; name: string };
  /** Projects that bring a master key, or have given one up: they are seen to one by one, for each may be away by itself. */
  ownProjects: ReadonlySet<string>;
  /** Whether a data key was wrapped by a key of its project's own that is named no more. */
  isForsaken(record: Pick<DataKeyRecord, 'wrapped'>): boolean;
  /** Id of the master key that wraps now, for a project or for the deployment. This and the next four throw `unavailable` when it cannot be asked. */
  masterKey(project?: string): Promise<string>;
  /** A new data key, which is in no memory yet. */
  fresh(project: string): Promise<NewDataKey>;
  /** Whether a data key opens. */
  opens(record: DataKeyRecord): Promise<boolean>;
  /** A data key wrapped anew; undefined when it does not open. */
  rewrapped(record: DataKeyRecord): Promise<Pick<DataKeyRecord, 'wrapped' | 'wrapped_by'> | undefined>;
  /** The canary for the master key that wraps now; undefined when the given one is that. */
  canary(stored: string): Promise<string | undefined>;
  /** The data key that the head of a sealed text names. Throws `integrity_error`. */
  kidOf(head: string): string;
  /** So long after a data key was retired, processes may still seal with it. */
  settleMs: number;
};
