import type { Outcome } from './watched.ts';

/** What the fuzzing came to, for a person to read. */

const of = (kind: string) => (outcome: Outcome) => String(outcome.failure?.kind === kind ? 1 : 0);
const columns: readonly [string, (outcome: Outcome) => string][] = [
  ['property', ({ name }) => name],
  ['runs', ({ runs }) => String(runs)],
  ['crashes', ({ crashes }) => String(crashes)],
  ['hangs', ({ hangs }) => String(hangs)],
  ['unhandled', ({ unhandled }) => String(unhandled)],
  ['bad tokens', of('bad token')],
  ['bad exchanges', of('bad exchange')],
  ['otherwise wrong', of('wrong')],
  ['memory MB', ({ growthMb }) => (Number.isNaN(growthMb) ? '-' : growthMb.toFixed(1))],
  ['slowest ms', ({ slowestMs }) => slowestMs.toFixed(0)],
  ['cpu s', ({ cpuS }) => cpuS.toFixed(1)],
  ['seed', ({ seed }) => String(seed)],
];

export function table(outcomes: readonly Outcome[]): string {
  const rows = [columns.map(([title]) => title), ...outcomes.map((outcome) => columns.map(([, cell]) => cell(outcome)))];
  const widths = columns.map((_, n) => Math.max(...rows.map((row) => row[n]?.length ?? 0)));
  return rows.map((row) => row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join('  ')).join('\n');
}

/** How to see a failure again. */
export const failureText = ({ name, failure }: Outcome): string =>
  failure === undefined
    ? ''
    : [
        `${name}: ${failure.kind}: ${failure.what}`,
        `The smallest case found: ${failure.shown}`,
        `Again: npm run fuzz -- --only '${name}' --seed ${failure.seed}${failure.path === '' ? '' : ` --path ${failure.path}`}`,
        `For good: add {"seed": ${failure.seed}, "path": "${failure.path}"} to its regressions in test/fuzz/seeds.json.`,
      ].join('\n');
