import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';

/** The command line as a person or a script runs it: a process of its own, without a terminal. */

export type Ran = { code: number | null; out: string; err: string };
export type Started = {
  child: ChildProcess;
  ended: Promise<Ran>;
  /** Waits for what it says beside its result; the text that matched. */
  said(words: RegExp): Promise<string>;
};
export type Program = {
  start(args: readonly string[], env: Record<string, string>): Started;
  run(args: readonly string[], env: Record<string, string>, input?: string): Promise<Ran>;
  remove(): Promise<void>;
};

/** In an empty directory of its own. */
export async function openProgram(): Promise<Program> {
  const dir = await mkdtemp(join(tmpdir(), 'grantry-cli-'));
  const file = join(inject('dist'), 'cli.js');

  function start(args: readonly string[], env: Record<string, string>): Started {
    const child = spawn(process.execPath, [file, ...args], {
      cwd: dir,
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', GRANTRY_DATA_DIR: '/nowhere', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      err += String(chunk);
    });
    const ended = new Promise<Ran>((resolve) => child.on('close', (code) => resolve({ code, out, err })));
    const said = (words: RegExp) =>
      new Promise<string>((resolve) => {
        child.stderr.on('data', () => {
          const [found] = words.exec(err) ?? [];
          if (found !== undefined) resolve(found);
        });
      });
    return { child, ended, said };
  }

  return {
    start,
    run(args, env, input = '') {
      const { child, ended } = start(args, env);
      child.stdin?.end(input);
      return ended;
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
