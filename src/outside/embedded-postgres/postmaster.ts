import { execFileSync, spawn } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account } from './account.ts';
import { dataDirectoryArgument, type Home, lastLines } from './cluster.ts';
import { isAlive, programEnvironment } from './program.ts';

/** The running server: its first process, its TCP port on 127.0.0.1, and what it says of itself. */
export type Postmaster = { pid: number; port: number; status: 'ready' | 'changing' };

const pollMs = 25;
/** Recovery after a crash may take long; more than this is taken for a hang. */
const startMs = 120_000;
const stopMs = 30_000;

/** The server that is alive in this cluster, from `postmaster.pid` (line 1 the process, line 4 the port, line 8 the status). */
export function postmasterOf(cluster: string): Postmaster | undefined {
  const lines = pidFile(cluster)?.split('\n') ?? [];
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid < 1 || !serves(pid, cluster)) return undefined;
  return { pid, port: Number(lines[3]), status: lines[7]?.trim() === 'ready' ? 'ready' : 'changing' };
}

/** Waits while a server is starting or stopping; undefined when there is none (any more). Ready is believed when seen twice. */
export async function settledPostmaster(cluster: string): Promise<Postmaster | undefined> {
  let before: Postmaster | undefined;
  for (const deadline = Date.now() + startMs; Date.now() < deadline; await sleep(pollMs)) {
    const now = postmasterOf(cluster);
    if (now === undefined || (now.status === 'ready' && before?.status === 'ready' && before.pid === now.pid)) return now;
    before = now;
  }
  return undefined;
}

/**
 * Starts a server in the cluster and waits until it is ready. It is detached (a session of its own), so a Ctrl-C meant for us does not
 * reach it, and it outlives us when we are killed. Fails when it ends before it is ready, with the last lines of its log.
 */
export async function launchPostmaster(launch: {
  native: string;
  home: Home;
  account: Account | undefined;
  settings: Readonly<Record<string, string>>;
}): Promise<{ postmaster: Postmaster } | { failure: string }> {
  const { native, home, account } = launch;
  removeForeignPidFile(home.cluster);
  const settings = { ...fixedSettings, ...launch.settings, port: String(await freePort()) };
  const args = [
    '-D',
    dataDirectoryArgument(home.cluster, account),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const { log, from } = openLog(home.logFile);
  const child = spawn(join(native, 'bin', 'postgres'), args, {
    ...account,
    cwd: home.cluster,
    env: programEnvironment,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let ended: string | undefined;
  child.on('error', (error) => (ended = error.message));
  child.on('exit', () => (ended ??= logTail(home.logFile, from)));
  child.unref();
  for (const deadline = Date.now() + startMs; Date.now() < deadline; await sleep(pollMs)) {
    if (ended !== undefined) return { failure: ended };
    const postmaster = postmasterOf(home.cluster);
    if (postmaster?.status === 'ready' && postmaster.pid === child.pid) return { postmaster };
  }
  child.kill('SIGQUIT');
  return { failure: `It was not ready after ${startMs / 1000} s.\n${logTail(home.logFile, from)}` };
}

/** Fast shutdown (sessions are ended, everything is written), and waits until the server is gone; an immediate one when that takes too long. */
export async function stopPostmaster(cluster: string): Promise<void> {
  const running = postmasterOf(cluster);
  if (running === undefined) return;
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    try {
      process.kill(running.pid, signal);
    } catch {
      return; // it was gone already
    }
    for (const deadline = Date.now() + stopMs; Date.now() < deadline; await sleep(pollMs)) {
      if (postmasterOf(cluster)?.pid !== running.pid) return;
    }
  }
}

/** Appends, because two starts may write at once; begins anew when it has grown long. `from` is where this start's lines begin. */
function openLog(file: string): { log: number; from: number } {
  const log = openSync(file, 'a', 0o600);
  if (fstatSync(log).size > 4 * 1024 * 1024) ftruncateSync(log);
  return { log, from: fstatSync(log).size };
}

function logTail(file: string, from: number): string {
  try {
    return lastLines(readFileSync(file).subarray(from).toString('utf8'));
  } catch {
    // The data directory may be gone by now; then there is nothing to tell.
    return '';
  }
}

/** TCP on the loopback only. What goes wrong is logged without the statements, and so without what they hold. */
const fixedSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  log_checkpoints: 'off',
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
};

function pidFile(cluster: string): string | undefined {
  try {
    return readFileSync(join(cluster, 'postmaster.pid'), 'utf8');
  } catch {
    return undefined;
  }
}

/** True when this process is a server that works in this cluster, and not one that was given the number of a dead server. */
function serves(pid: number, cluster: string): boolean {
  try {
    if (process.platform === 'linux') {
      return readlinkSync(`/proc/${pid}/cwd`) === cluster && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres';
    }
    return execFileSync('ps', ['-p', String(pid), '-o', 'args='], { encoding: 'utf8' }).includes(`-D ${cluster}`);
  } catch {
    return false;
  }
}

/** Postgres replaces the file of a dead server itself, but gives up when the number now belongs to another living process. */
function removeForeignPidFile(cluster: string): void {
  const pid = Number(pidFile(cluster)?.split('\n')[0]);
  if (pid > 0 && isAlive(pid) && !serves(pid, cluster)) rmSync(join(cluster, 'postmaster.pid'), { force: true });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
