import type { Tally } from './round.ts';

/** What a torture came to, for a person to read. */

const columns: readonly [string, (tally: Tally) => number][] = [
  ['runs', ({ runs }) => runs],
  ['refreshed', ({ fates }) => fates.refreshed],
  ['retried and saved', ({ fates }) => fates.retried],
  ['lost and told', ({ fates }) => fates.lost],
  ['wrong tokens', ({ fates }) => fates.wrong],
  ['silent losses', ({ fates }) => fates.silent],
  ['double sends', ({ doubleSends }) => doubleSends],
  ['webhooks missing', ({ untold }) => untold],
];

export function table(tallies: Readonly<Record<string, Tally>>): string {
  const rows = Object.entries(tallies).map(([moment, tally]) => [moment, ...columns.map(([, of]) => of(tally))]);
  const sums = columns.map(([, of]) => Object.values(tallies).reduce((sum, tally) => sum + of(tally), 0));
  const line = (cells: readonly (string | number)[]) =>
    cells.map((cell, n) => (n === 0 ? String(cell).padEnd(14) : String(cell).padStart(columns[n - 1]?.[0].length ?? 0))).join('  ');
  return [['', ...columns.map(([name]) => name)], ...rows, ['all', ...sums]].map(line).join('\n');
}
