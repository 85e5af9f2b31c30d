import Table from 'cli-table3';

/** What a command prints: tables for people, JSON for programs. Results go to stdout; everything else to stderr. */

export type Output = {
  /** The result: as it is with --json, else as `shown` says it. */
  result(value: unknown, shown: () => string): void;
  /** A line for a person; nothing with --json. */
  note(text: string): void;
  /** What has to be known before the result is there; with --json `value` on a line. */
  ahead(value: unknown, text: string): void;
  /** Each line of a long result. */
  line(text: string): void;
};

export function createOutput(json: boolean): Output {
  return {
    result: (value, shown) => process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${forEyes(shown(), process.stdout)}\n`),
    note: (text) => (json ? undefined : void process.stderr.write(`${forEyes(text, process.stderr)}\n`)),
    ahead: (value, text) => void process.stderr.write(`${json ? JSON.stringify(value) : forEyes(text, process.stderr)}\n`),
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

/** Characters that would move the cursor of a terminal, or change what was written there; words of providers and end users are in what we say. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, (sign) => (sign === '\n' || sign === '\t' ? sign : '\uFFFD'));
/** What goes into a file or to a program stays as it is. */
export const forEyes = (text: string, stream: { isTTY?: boolean }): string => (stream.isTTY === true ? printable(text) : text);
const onOneLine = (text: string): string => printable(text).replace(/[\n\t]/g, '\uFFFD');

const cell = (value: unknown): string => {
  if (value === null || value === undefined || value === '') return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(' ');
  if (typeof value === 'object' && Object.keys(value).length === 0) return '-';
  return onOneLine(typeof value === 'object' ? JSON.stringify(value) : String(value));
};

/** Columns that a text takes: letters of East Asia and pictures take two, what stands upon another letter none. */
function widthOf(text: string): number {
  const wide = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uFF01-\uFF60]/gu) ?? [];
  return [...text.replace(/\p{M}/gu, '')].length + wide.length;
}

/** Rows under the names of their columns; where a terminal is too narrow for that, a line for each field. A sentence when there are none. */
export function tableOf(
  rows: readonly Record<string, unknown>[],
  columns: readonly string[],
  none: string,
  room: number = process.stdout.columns ?? Infinity,
): string {
  if (rows.length === 0) return none;
  const table = new Table({
    head: columns.map((column) => column.toUpperCase()),
    chars: plain,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push(columns.map((column) => cell(row[column])));
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  if (lines.every((line) => widthOf(line) <= room)) return lines.join('\n');
  return rows.map((row) => fieldsOf(row, columns)).join('\n\n');
}

/** The fields of one thing, a line each. */
export function fieldsOf(thing: Record<string, unknown>, names: readonly string[] = Object.keys(thing)): string {
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)}  ${cell(thing[name])}`).join('\n');
}
