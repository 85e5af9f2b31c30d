import type { Kind } from './property.ts';

/** What a worker is given, and what it tells in the end. */

export type Place = { seed: number; path?: string | undefined };

export type Given = {
  name: string;
  seed: number;
  runs: number;
  regressions: readonly Place[];
  packageRoot: string;
  /** Numbers of 32 bits: how many cases have begun; of the one that is under way the base, how many changes, and these. */
  shared: SharedArrayBuffer;
};

export type Failure = { seed: number; path: string; kind: Kind | 'crash'; what: string; shown: string | undefined };

export type Told = {
  runs: number;
  counts: Readonly<Record<string, number>>;
  slowestMs: number;
  cpuS: number;
  unhandled: number;
  /** The first of these. */
  rejection: string | undefined;
  growthMb: number;
  failure: Failure | undefined;
};
