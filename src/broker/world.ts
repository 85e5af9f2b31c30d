import type { Definition } from '../protocol/definition/schema.ts';
import type { Door } from '../protocol/door.ts';
import type { Audit } from './audit.ts';
import type { Diagnosis } from './diagnosis.ts';
import type { HostHealth } from './host-health.ts';
import type { KeyTurning } from './key-records.ts';
import type { Limits, SharedLimits } from './limits.ts';
import type { Meter } from './meter.ts';
import type { Seal } from './seal.ts';
import type { Spill } from './spill.ts';
import type { Store } from './store.ts';

/** Structured log; fields never hold secrets. */
export type Log = {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
};

/** What other processes tell: it comes at once, or not at all. */
export type Wakeups = {
  /** Resolves when the connection's refresh was reported ended, or after `timeoutMs`. */
  wait(connectionId: string, timeoutMs: number): Promise<void>;
  /** Calls back when webhooks were written, once for all within `gatherMs`, until the returned function is called. */
  onWebhooks(listener: () => void, gatherMs: number): () => void;
};

/** Remembers what was used; written down now and then. */
export type Uses = { note(id: string): void };

/** Everything a use-case may see; `main.ts` puts it together. */
export type World = {
  /** Our own origin, without a slash at the end. */
  publicUrl: string;
  allowPrivateHosts: boolean;
  store: Store;
  seal: Seal;
  keys: KeyTurning;
  door: Door;
  /** The shipped definitions by id. */
  shipped: ReadonlyMap<string, Definition>;
  /** The text of a shipped definition, as its file has it. */
  shippedText: (id: string) => Promise<string>;
  /** Looks at what the broker stands on. */
  diagnose: () => Promise<Diagnosis[]>;
  wakeups: Wakeups;
  /** Which hosts of providers answer, as this process has seen them. */
  hosts: HostHealth;
  /** Credentials that Postgres could not take yet, on this machine's disk. */
  spill: Spill;
  /** Connections that a token was handed out of. */
  uses: Uses;
  /** API keys. */
  keyUses: Uses;
  audit: Audit;
  limits: Limits;
  sharedLimits: SharedLimits;
  /** How many links of a project may be unfinished at once. */
  mostPendingLinks: number;
  meter: Meter;
  log: Log;
  now: () => Date;
  /** Milliseconds of a clock that never jumps; only differences mean something. */
  elapsedMs: () => number;
  /** Resolves after so many milliseconds, or at once when the signal fires; never rejects. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  random: (bytes: number) => Buffer;
};
