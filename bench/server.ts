import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What is measured is the work, not its limits. */
const noLimits = { GRANTRY_LIMIT_CALLS: '999999', GRANTRY_LIMIT_WRONG_KEYS: '999999', GRANTRY_LIMIT_LINKS: '999999' };

/** A server under measurement: a child process whose CPU time the kernel counts. */

export type Measured = { url: string; cpuMs(): number; rssMb(): number; stop(): Promise<void> };

/** CPU time (user and system) of a process so far. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function rssMbOf(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
}

/** Starts a module that reports `{ port }` or listens at `url` by itself. */
export async function startMeasured(
  module: string,
  { env, args = [], url }: { env: Record<string, string>; args?: string[]; url?: string },
): Promise<Measured> {
  const child: ChildProcess = fork(module, {
    execArgv: args,
    env: { ...process.env, ...noLimits, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const pid = child.pid ?? 0;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let base = url;
  if (base === undefined) {
    base = await new Promise<string>((resolve, reject) => {
      child.once('message', (message: { port: number }) => resolve(`http://127.0.0.1:${message.port}`));
      child.once('exit', () => reject(new Error(`${module} ended before it was ready`)));
    });
  } else {
    for (let i = 0; ; i += 1) {
      const ready = await fetch(`${base}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (ready) break;
      if (i > 300 || child.exitCode !== null) throw new Error(`${module} did not become ready`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return {
    url: base,
    cpuMs: () => cpuMsOf(pid),
    rssMb: () => rssMbOf(pid),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
