import { createReadStream } from 'node:fs';
import { unreadable } from './secret.ts';

/** What the API takes as a body is far shorter. */
const mostCharacters = 1_000_000;

/** A line of a file with its number, from 1; `text` is undefined when it is too long to be kept. */
export type Line = { line: number; text: string | undefined };

/** The lines of a file (`-`: standard input), however large it is; ended by a line feed alone, as in JSON lines. Throws UsageError. */
export async function* linesOf(file: string): AsyncGenerator<Line> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  let line = 1;
  let rest: string | undefined = '';
  const add = (more: string) => {
    rest = rest === undefined || rest.length + more.length > mostCharacters ? undefined : rest + more;
  };
  try {
    for await (const chunk of input.setEncoding('utf8')) {
      const [first = '', ...others] = String(chunk).split('\n');
      add(first);
      for (const next of others) {
        yield { line, text: rest };
        line += 1;
        rest = '';
        add(next);
      }
    }
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw unreadable(file, error);
    throw error;
  }
  yield { line, text: rest };
}
