import { createHash } from 'node:crypto';
import { appendFile, open } from 'node:fs/promises';
import type { Became } from './import-line.ts';
import { linesOf } from './lines.ts';
import { UsageError } from './outcome.ts';

/** The report of an import: what became of each line, and where a later run goes on. `digest` tells whether it is still the same line. */
export type Report = {
  isDone(digest: string): boolean;
  add(reported: { line: number; digest: string } & Became): Promise<void>;
};

/** The same line is another one elsewhere: what was imported into one project is not yet in the next. */
export const digestOf = (target: string, text: string): string => createHash('sha256').update(`${target}\n${text}`).digest('hex');

/** Whatever was cut off at the end stands on a line of its own afterwards. */
async function makeReady(path: string): Promise<void> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const end = Buffer.alloc(1);
    if (size > 0) await file.read(end, 0, 1, size - 1);
    if (size > 0 && end.toString() !== '\n') await file.appendFile('\n');
  } finally {
    await file.close();
  }
}

/** What an earlier run got done, by digest; a line that was cut off in the middle counts as not written. */
async function doneBefore(path: string): Promise<Set<string>> {
  const done = new Set<string>();
  for await (const { text = '' } of linesOf(path)) {
    try {
      const { digest, error } = JSON.parse(text) as Partial<Record<string, unknown>>; // looked at one by one
      if (typeof digest === 'string' && error === undefined) done.add(digest);
    } catch {
      // cut off
    }
  }
  return done;
}

/** Throws UsageError when it cannot be written, before anything is sent. */
export async function openReport(path: string): Promise<Report> {
  await makeReady(path).catch(() => {
    throw new UsageError(`The report cannot be written to ${path}: name a file that can be with --report.`);
  });
  const done = await doneBefore(path);
  return {
    isDone: (digest) => done.has(digest),
    add: (reported) => appendFile(path, `${JSON.stringify(reported)}\n`),
  };
}
