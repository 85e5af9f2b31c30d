import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { inject } from 'vitest';
import { freePort } from './free-port.ts';
import { noLimits } from './no-limits.ts';

/** A broker in a process of its own: started as an operator starts it, ended as the system ends it. */
export type BrokerProcess = {
  url: string;
  process: ChildProcess;
  /** Everything it printed. */
  printed: string[];
  /** Sends the signal and waits for the end; the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
};

const answers = (url: string) =>
  fetch(`${url}/readyz`).then(
    (answer) => answer.ok,
    () => false,
  );

/** Resolves when it is ready; a worker, which listens nowhere, when it says so. `program`: another one than `npm start` starts. */
export async function startBrokerProcess(env: Record<string, string>, program = join(inject('dist'), 'main.js')): Promise<BrokerProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [program], {
    env: {
      PATH: process.env.PATH ?? '',
      GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
      GRANTRY_ROLE: 'web',
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'info',
      ...noLimits,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  const exited = once(child, 'exit');
  for (let left = 400; ; left -= 1) {
    const ready = await (env.GRANTRY_ROLE === 'worker' ? printed.join('').includes('"msg":"ready"') : answers(url));
    if (ready) break;
    if (left === 0 || child.exitCode !== null) throw new Error(`The broker does not start: ${printed.join('')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    process: child,
    printed,
    async end(signal) {
      child.kill(signal);
      const [code, by] = await exited;
      return code ?? by;
    },
  };
}
