import type { DefenceName } from './defences.ts';
import type { Stage } from './stage.ts';

/** What became of an attack, and what was seen that says so. */
export type Verdict = { outcome: 'stopped' | 'succeeded'; evidence: string };

export type Attack = {
  name: string;
  /** What it is called in the matrix, together with others of its kind; its name when absent. */
  row?: string;
  /**
   * Each is a smallest set of defences without which the attack succeeds: with any one of a set in place it is stopped.
   * More than one name in a set is defence in depth.
   */
  falls: readonly (readonly DefenceName[])[];
  run(stage: Stage): Promise<Verdict>;
};

export const succeeded = (evidence: string): Verdict => ({ outcome: 'succeeded', evidence });
export const stopped = (evidence: string): Verdict => ({ outcome: 'stopped', evidence });
