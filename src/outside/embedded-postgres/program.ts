import { spawn } from 'node:child_process';
import type { Account } from './account.ts';

/** What the PostgreSQL programs see: nothing of ours (no secrets, no PG* variables), a fixed locale and time zone. */
export const programEnvironment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

export type Ended = { ok: boolean; output: string };

/** Runs one program to its end; `output` is what it printed on both streams. Never throws: a program that cannot be started is not ok. */
export function runProgram(file: string, args: readonly string[], place: { account: Account | undefined; cwd: string }): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...place.account, cwd: place.cwd, env: programEnvironment, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** True while a process of this number exists, whoever it belongs to. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
