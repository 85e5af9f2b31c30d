import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import password from '@inquirer/password';
import { Aborted, UsageError } from './outcome.ts';

/**
 * A secret that a person types unseen, or that stands in a file (`-`: standard input). It is never an argument. Throws UsageError when there
 * is nobody to ask.
 */
export async function readSecret({ file, what, option }: { file: string | undefined; what: string; option: string }): Promise<string> {
  if (file !== undefined) {
    const given = (await readInput(file)).replace(/\r?\n$/, '');
    if (given === '') throw new UsageError(`There is no ${what} in ${file === '-' ? 'the standard input' : file}.`);
    return given;
  }
  if (!process.stdin.isTTY)
    throw new UsageError(`The ${what} is needed, and there is no terminal to ask at: give ${option} with a file, or - for standard input.`);
  return password(
    { message: `${what}:`, mask: '*', theme: plain, validate: (typed) => typed !== '' || 'Must not be empty. Ctrl-C ends without it.' },
    { output: process.stderr },
  ).catch((error: unknown) => {
    throw error instanceof Error && error.name === 'ExitPromptError' ? new Aborted() : error;
  });
}

const same = (words: string): string => words;
/** There are no colours. */
const plain = { prefix: '', style: { answer: same, message: same, error: same, help: same } };

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read by you',
  EISDIR: 'it is a directory',
  ERR_STRING_TOO_LONG: 'it is too large',
  ERR_FS_FILE_TOO_LARGE: 'it is too large',
};

/** That a file cannot be read, and why. */
export function unreadable(file: string, error: unknown): UsageError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new UsageError(`${file} cannot be read${reasons[code] === undefined ? '' : `: ${reasons[code]}`}.`);
}

/** The text of a file that was named on the command line. Throws UsageError when it cannot be read. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** The same, where `-` is standard input. */
export const readInput = async (file: string): Promise<string> => (file === '-' ? text(process.stdin) : readText(file));
