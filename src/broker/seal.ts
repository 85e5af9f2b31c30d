/** The seal's shape: how a secret goes into the database and comes out again. `outside/seal.ts` is the real one. */

/** Where a ciphertext lives. It is bound into the ciphertext: one that was moved or rolled back does not open. */
export type Place = {
  /** The id of the project that owns the row. */
  project: string;
  table: string;
  /** The id of the row. */
  row: string;
  field: string;
  /** The row's version of this secret: a whole number that grows with each write. */
  version: number;
};

export type Seal = {
  /** Seals a text for one place. The first seal of a project makes its data key. */
  seal(place: Place, plaintext: string): Promise<string>;
  /** Opens what was sealed for this very place; `integrity_error` on anything else. */
  open(place: Place, sealed: string): Promise<string>;
  /** The same without waiting, when the data key is in memory (the token path); undefined when it is not: call `open`. */
  openCached(place: Place, sealed: string): string | undefined;
  /** Sees to it that `seal` works for this project even when the database is away from now on. */
  ready(project: string): Promise<void>;
};

/** A project's data key as it is stored: wrapped by a master key. */
export type DataKeyRecord = {
  project_id: string;
  /** Unique over all projects; every ciphertext names it. */
  kid: string;
  wrapped: string;
  /** Id of the master key that has wrapped it. */
  wrapped_by: string;
  created_at: Date;
  /** Since when it opens only; null: it also seals. */
  retired_at: Date | null;
};

export type NewDataKey = Pick<DataKeyRecord, 'project_id' | 'kid' | 'wrapped' | 'wrapped_by'>;

export type DataKeyStore = {
  /** All data keys of a project, in any order. */
  list(projectId: string): Promise<DataKeyRecord[]>;
  find(kid: string): Promise<DataKeyRecord | undefined>;
  /**
   * A project has at most one data key that is not retired. When it has one already (two processes made the first
   * one at once), nothing is stored and the one that is there comes back: the caller uses what is returned.
   */
  insert(record: NewDataKey): Promise<DataKeyRecord>;
  /** A retired key is about to seal once more: how long it has been retired counts from now. False when it is there no more. */
  stillInUse(projectId: string, kid: string): Promise<boolean>;
  /** The wrapped known text that proves the master keys are those that this database was sealed with. */
  canary(): Promise<string | undefined>;
  /** Stores the canary unless there is one; returns the one that is stored then. */
  setCanary(sealed: string): Promise<string>;
};
