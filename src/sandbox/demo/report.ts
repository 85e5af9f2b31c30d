import colors from 'picocolors';

/** What the demo prints: steps as they happen, and the table at the end. */

export type Report = {
  chapter(title: string): void;
  step(text: string): void;
  done(text: string): void;
  table(rows: readonly (readonly string[])[]): void;
  plain(text: string): void;
};

const pad = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - text.length));

/** Colours only on a terminal (and where NO_COLOR is not set). */
export function createReport(write: (line: string) => void): Report {
  let chapters = 0;
  return {
    chapter(title) {
      chapters += 1;
      write(`\n${colors.bold(colors.cyan(`${chapters}. ${title}`))}`);
    },
    step: (text) => write(`   ${colors.dim('·')} ${text}`),
    done: (text) => write(`   ${colors.green('✓')} ${text}`),
    plain: write,
    table(rows) {
      const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
      rows.forEach((row, index) => {
        const line = row
          .map((cell, column) => pad(cell, widths[column] ?? 0))
          .join('  ')
          .trimEnd();
        write(index === 0 ? colors.bold(line) : line);
      });
    },
  };
}
