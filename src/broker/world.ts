import type { Definition } from '../protocol/definition/schema.ts';
import type { Door } from '../protocol/door.ts';
import type { Seal } from './seal.ts';
import type { Store } from './store.ts';

/** Structured log; fields never hold secrets. */
export type Log = {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
};

/** Wakes callers that wait for somebody else's refresh. */
export type Wakeups = {
  /** Resolves when the connection's refresh was reported ended, or after `timeoutMs`. */
  wait(connectionId: string, timeoutMs: number): Promise<void>;
};

/** Everything a use-case may see; `main.ts` puts it together. */
export type World = {
  /** Our own origin, without a slash at the end. */
  publicUrl: string;
  allowPrivateHosts: boolean;
  store: Store;
  seal: Seal;
  door: Door;
  /** The shipped definitions by id. */
  shipped: ReadonlyMap<string, Definition>;
  wakeups: Wakeups;
  log: Log;
  now: () => Date;
  random: (bytes: number) => Buffer;
};
