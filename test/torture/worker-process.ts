import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Bundle } from '../harness/bundle.ts';
import { type Order, type Report, report } from './orders.ts';

/** A worker as its torturer sees it. */
export type Worker = {
  /** Begins its work; resolves with the address at which it listens. */
  start(): Promise<string>;
  arm(at: Omit<Extract<Order, { kind: 'arm' }>, 'kind'>): Promise<void>;
  /** Lets those go on that wait at a point. */
  goOn(): void;
  /** Resolves when a report of this kind comes. */
  hear(kind: Report['kind']): Promise<void>;
  /** All that it said so far. */
  reports(): readonly Report[];
  /** How often it said so. */
  count(kind: Report['kind']): number;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with how it ended: the exit code, or the signal. */
  ended: Promise<number | NodeJS.Signals | null>;
  /** What it logged. */
  printed(): string;
};

/** Loads a worker that waits for its start. */
export function loadWorker({ program }: Bundle, env: Record<string, string>): Worker {
  const child = fork(program, { execArgv: [], env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const reports: Report[] = [];
  const printed: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  let port = 0;
  const ended = once(child, 'exit').then(([code, signal]) => code ?? signal);
  child.on('message', (message) => {
    const heard = report.parse(message);
    reports.push(heard);
    if (heard.kind === 'ready') port = heard.port;
    child.emit(`heard ${heard.kind}`);
  });

  async function hear(kind: Report['kind']): Promise<void> {
    const heard = once(child, `heard ${kind}`).then(() => true);
    if (!(await Promise.race([heard, ended.then(() => false)]))) throw new Error(`The worker ended before it was ${kind}:\n${printed.join('')}`);
  }
  const loaded = hear('loaded');
  // Told when somebody waits for it.
  loaded.catch(() => {});

  async function give(given: Order, answer: Report['kind']): Promise<void> {
    const heard = hear(answer);
    child.send(given);
    await heard;
  }

  return {
    async start() {
      await loaded;
      await give({ kind: 'start' }, 'ready');
      return `http://127.0.0.1:${port}`;
    },
    arm: (at) => give({ kind: 'arm', ...at }, 'armed'),
    goOn: () => void child.send({ kind: 'go_on' } satisfies Order),
    hear,
    reports: () => reports,
    count: (kind) => reports.filter((each) => each.kind === kind).length,
    kill: (signal) => void child.kill(signal),
    ended,
    printed: () => printed.join(''),
  };
}
