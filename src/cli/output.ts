import Table from 'cli-table3';

/** What a command prints: tables for people, JSON for programs. Results go to stdout; everything else to stderr. */

export type Output = {
  /** The result: as it is with --json, else as `shown` says it. */
  result(value: unknown, shown: () => string): void;
  /** A line for a person; nothing with --json. */
  note(text: string): void;
  /** Each line of a long result. */
  line(text: string): void;
};

export function createOutput(json: boolean): Output {
  return {
    result: (value, shown) => process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${shown()}\n`),
    note: (text) => (json ? undefined : void process.stderr.write(`${text}\n`)),
    line: (text) => void process.stdout.write(`${text}\n`),
  };
}

const plain = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Characters that would move the cursor of a terminal, or change what was written there. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD');

const cell = (value: unknown): string => {
  if (value === null || value === undefined || value === '') return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(' ');
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value));
};

/** Rows under the names of their columns; a sentence when there are none. */
export function tableOf(rows: readonly Record<string, unknown>[], columns: readonly string[], none: string): string {
  if (rows.length === 0) return none;
  const table = new Table({
    head: columns.map((column) => column.toUpperCase()),
    chars: plain,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push(columns.map((column) => cell(row[column])));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** The fields of one thing, a line each. */
export function fieldsOf(thing: Record<string, unknown>, names: readonly string[] = Object.keys(thing)): string {
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)}  ${cell(thing[name])}`).join('\n');
}
