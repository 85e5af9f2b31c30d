import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import password from '@inquirer/password';
import { UsageError } from './outcome.ts';

/**
 * A secret that a person types unseen, or that stands in a file (`-`: standard input). It is never an argument. Throws UsageError when there
 * is nobody to ask.
 */
export async function readSecret({ file, what, option }: { file: string | undefined; what: string; option: string }): Promise<string> {
  if (file !== undefined) {
    const given = (file === '-' ? await text(process.stdin) : readText(file)).replace(/\r?\n$/, '');
    if (given === '') throw new UsageError(`There is no ${what} in ${file === '-' ? 'the standard input' : file}.`);
    return given;
  }
  if (!process.stdin.isTTY)
    throw new UsageError(`The ${what} is needed, and there is no terminal to ask at: give ${option} with a file, or - for standard input.`);
  return password({ message: what, mask: '*' }, { output: process.stderr });
}

/** The text of a file that was named on the command line. Throws UsageError when it cannot be read. */
export function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch {
    throw new UsageError(`${file} cannot be read.`);
  }
}
