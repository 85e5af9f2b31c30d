import type { ConnectionRecord } from './records.ts';
import type { StoredCredential } from './store.ts';

/**
 * A refreshed credential that is not in Postgres yet. Its secrets are sealed, as they are in a row. The method and the inputs are what
 * its provider is told with when the connection, whose row knows them too, is deleted meanwhile.
 */
export type Spilled = Pick<ConnectionRecord, 'project_id' | 'integration_id' | 'method' | 'inputs_sealed'> & {
  connection_id: string;
  /** The version that was refreshed; the credential is sealed for the next one. */
  token_version: number;
  lease: string;
  stored: Omit<StoredCredential, 'times'> & { times: Omit<StoredCredential['times'], 'ageMs'> };
  /** When the request that brought it was sent; lifetimes count from here. */
  sent_at: string;
};

/** Keeps spilled credentials over the end of the process: files that only their owner may read, on the disk when `keep` resolves. */
export type Spill = {
  /** Rejects when the disk cannot take it. */
  keep(spilled: Spilled): Promise<void>;
  /** After it was saved, or has become useless. Never rejects. */
  drop(spilled: Pick<Spilled, 'connection_id' | 'token_version'>): Promise<void>;
  /** What is there, left by whichever process; a file that cannot be read is left where it is and skipped. */
  list(): Promise<Spilled[]>;
};
