import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { serverAccount } from '../../src/outside/embedded-postgres/account.ts';
import { packagedNative } from '../../src/outside/embedded-postgres/binaries.ts';
import { brokerUrl } from '../../src/outside/embedded-postgres/broker-role.ts';
import { postmasterOf } from '../../src/outside/embedded-postgres/postmaster.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/outside/embedded-postgres.ts';
import { createLog } from '../../src/outside/log.ts';
import { startBroker } from '../../src/process.ts';
import { packageRoot } from '../harness/broker.ts';

const settings = { fsync: 'off' };
const log = () => undefined;
let root: string;
let cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'grantry-embedded-'));
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});
afterAll(async () => await rm(root, { recursive: true, force: true }));

async function start(dataDir: string, more: { native?: string; settings?: Record<string, string> } = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, log, settings, ...more });
  cleanups.push(() => server.stop());
  return server;
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  cleanups.push(() => client.end());
  return client;
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows[0]?.[0];
  } finally {
    await client.end();
  }
}

/** Another process that starts the server: resolves when it is up there. */
async function starter(dataDir: string): Promise<{ child: ChildProcess; url: string }> {
  const script = fileURLToPath(new URL('./embedded-postgres.starter.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, dataDir], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  if (!child.stdout) throw new Error('no output');
  const [url] = await once(createInterface(child.stdout), 'line');
  return { child, url: String(url) };
}

const pidOf = (dataDir: string) => postmasterOf(join(dataDir, 'cluster'))?.pid;

describe('a server', () => {
  let dataDir: string;
  let url: string;
  beforeAll(async () => {
    dataDir = join(root, 'shared');
    const server = await startEmbeddedPostgres({ dataDir, log, settings });
    url = server.url;
    return () => server.stop();
  });

  test('is a real PostgreSQL: SKIP LOCKED, advisory locks between sessions, LISTEN/NOTIFY', async () => {
    const [one, two] = [await connect(url), await connect(url)];
    await one.query('CREATE TABLE queue AS SELECT generate_series(1, 2) AS id');
    await one.query('BEGIN');
    await two.query('BEGIN');
    const take = 'SELECT id FROM queue ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED';
    expect([(await one.query(take)).rows, (await two.query(take)).rows]).toEqual([[{ id: 1 }], [{ id: 2 }]]);

    const lock = 'SELECT pg_try_advisory_lock(7) AS got';
    expect([(await one.query(lock)).rows, (await two.query(lock)).rows]).toEqual([[{ got: true }], [{ got: false }]]);

    await two.query('COMMIT');
    await two.query('LISTEN news');
    const heard = once(two, 'notification');
    await one.query("NOTIFY news, 'fresh'");
    await one.query('COMMIT');
    expect((await heard)[0]).toMatchObject({ channel: 'news', payload: 'fresh' });
  });

  test('is UTF8 and locale C, on the loopback only, without a socket file', async () => {
    expect(await ask(url, 'SHOW server_encoding')).toBe('UTF8');
    expect(await ask(url, 'SELECT datcollate FROM pg_database WHERE datname = current_database()')).toBe('C');
    expect(await ask(url, 'SHOW listen_addresses')).toBe('127.0.0.1');
    expect(await ask(url, 'SHOW unix_socket_directories')).toBe('');
  });

  test('wants its password, which only its own account can read', async () => {
    const wrong = new URL(url);
    wrong.password = 'guess';
    await expect(ask(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    const file = await stat(join(dataDir, 'password'));
    expect(file.mode & 0o777).toBe(0o600);
    expect(file.uid).toBe((await stat(join(dataDir, 'cluster'))).uid);
    expect(await readFile(join(dataDir, 'password'), 'utf8')).toMatch(/^[\w-]{43}$/);
  });

  test('writes no statement and no value into its log', async () => {
    await ask(url, 'CREATE TABLE once (word text PRIMARY KEY)');
    await ask(url, "INSERT INTO once VALUES ('s3cret')");
    await expect(ask(url, "INSERT INTO once VALUES ('s3cret')")).rejects.toMatchObject({ code: '23505' });
    const text = await readFile(join(dataDir, 'server.log'), 'utf8');
    expect(text).toContain('duplicate key');
    expect(text).not.toContain('s3cret');
  });

  test('lives in a session of its own, so that a Ctrl-C for us does not reach it', async () => {
    const session = async (pid: number | undefined) => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[3];
    expect(await session(pidOf(dataDir))).toBe(String(pidOf(dataDir)));
  });
});

describe('the broker’s role', () => {
  test('is no superuser, owns a database of its own, and is the same for whoever asks and after a new start', async () => {
    const dataDir = join(root, 'role', 'postgres');
    const first = await start(dataDir);
    const [one, two] = await Promise.all([brokerUrl(first.url), brokerUrl(first.url)]);
    expect(two).toBe(one);
    expect(new URL(one).password).not.toBe(new URL(first.url).password);
    expect(await ask(one, 'select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user')).toBe(false);
    expect(await ask(one, 'select pg_get_userbyid(datdba) = current_user from pg_database where datname = current_database()')).toBe(true);
    const config = readConfig({ GRANTRY_DATA_DIR: join(root, 'role'), GRANTRY_ROLE: 'web', PUBLIC_URL: 'http://localhost:3000', PORT: '0' });
    const broker = await startBroker({ config, log: createLog('silent'), packageRoot, compiledProviders: inject('compiledProviders') });
    cleanups.push(broker.stop);
    expect(await ask(one, 'select pg_get_userbyid(relowner) from pg_class where oid = $$connections$$::regclass')).toBe('grantry_broker');
    expect(await ask(one, 'select relforcerowsecurity from pg_class where oid = $$connections$$::regclass')).toBe(true);
    await broker.stop();
    await first.stop();
    const again = await brokerUrl((await start(dataDir)).url);
    expect(new URL(again).password).toBe(new URL(one).password);
    expect(await ask(again, 'select count(*)::int from projects')).toBe(1);
  });

  test('is not made where an earlier version has its tables: the superuser goes on with them', async () => {
    const { url } = await start(join(root, 'earlier'));
    await ask(url, 'create table projects (id text)');
    expect(await brokerUrl(url)).toBe(url);
    expect(await ask(url, "select count(*)::int from pg_database where datname = 'grantry'")).toBe(0);
  });
});

describe('data', () => {
  let dataDir: string;
  beforeAll(async () => {
    dataDir = join(root, 'data');
    const first = await startEmbeddedPostgres({ dataDir, log, settings });
    await ask(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
  });

  test('is there after a stop and a start, and after two stops', async () => {
    const again = await start(dataDir);
    expect(await ask(again.url, 'SELECT answer FROM kept')).toBe(42);
    await again.stop();
    await again.stop();
    await expect(ask(again.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('is there after the server itself was killed', async () => {
    const killed = await start(dataDir);
    await ask(killed.url, 'CREATE TABLE also_kept AS SELECT 43 AS answer');
    process.kill(Number(pidOf(dataDir)), 'SIGKILL');
    const after = await start(dataDir);
    expect(await ask(after.url, 'SELECT answer FROM also_kept')).toBe(43);
  });

  test('is served although the pid file of a dead server names a process of the same account that is no server', async () => {
    const stranger = spawn('sleep', ['600'], { ...(await serverAccount(join(dataDir, 'cluster'))), stdio: 'ignore' });
    cleanups.push(async () => stranger.kill());
    await writeFile(join(dataDir, 'cluster', 'postmaster.pid'), `${stranger.pid}\n/somewhere\n0\n5432\n\n127.0.0.1\n  0 0\nready   \n`);
    const server = await start(dataDir);
    expect(await ask(server.url, 'SELECT answer FROM kept')).toBe(42);
  });

  test('is not touched when the password is gone, and the message says which file', async () => {
    const [file, aside] = [join(dataDir, 'password'), join(dataDir, 'password.aside')];
    await rename(file, aside);
    cleanups.push(() => rename(aside, file));
    await expect(start(dataDir)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(file) });
  });

  test('a server that does not start says why with the lines of its own log', async () => {
    const failing = start(dataDir, { settings: { ...settings, max_connections: 'many' } });
    await expect(failing).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('"max_connections": "many"') });
    expect(await readdir(join(dataDir, 'users'))).toEqual([]);
  });
});

describe('several processes', () => {
  test('a server that outlived its killed starter is adopted, and ends with us', async () => {
    const dataDir = join(root, 'orphan');
    const { child, url } = await starter(dataDir);
    await ask(url, 'CREATE TABLE kept AS SELECT 1 AS one');
    const pid = pidOf(dataDir);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const server = await start(dataDir);
    expect(pidOf(dataDir)).toBe(pid);
    expect(server.url).toBe(url);
    expect(await ask(server.url, 'SELECT one FROM kept')).toBe(1);
    await server.stop();
    expect(pidOf(dataDir)).toBeUndefined();
  });

  test('all that start at once share one server, and the last one to leave stops it', async () => {
    const dataDir = join(root, 'both');
    const [other, ours, ourOther] = await Promise.all([starter(dataDir), start(dataDir), start(dataDir)]);
    expect([ours.url, ourOther.url]).toEqual([other.url, other.url]);
    expect(await readdir(dataDir)).not.toContainEqual(expect.stringMatching(/^init-/));
    await Promise.all([ours.stop(), ourOther.stop()]);
    expect(await ask(other.url, 'SELECT 1')).toBe(1);
    other.child.stdin?.end();
    expect(await once(other.child, 'exit')).toEqual([0, null]);
    expect(pidOf(dataDir)).toBeUndefined();
  });
});

describe('binaries', () => {
  let installed: string;
  let native: string;
  beforeAll(async () => {
    installed = await mkdtemp(join(root, 'installed-'));
    native = join(installed, 'native');
    const isLink = async (path: string) => (await lstat(path)).isSymbolicLink();
    // What npm unpacks: no links.
    await cp(packagedNative(), native, { recursive: true, filter: async (path) => !(await isLink(path)) });
    for (const directory of [root, installed]) await chmod(directory, 0o755);
  });

  test('run although the install script made no library links', async () => {
    const server = await start(join(root, 'links'), { native });
    expect(await ask(server.url, 'SELECT 1')).toBe(1);
    expect(await readlink(join(native, 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
  });

  test('run, and the data is reached, below a directory that only we may enter', async () => {
    await chmod(installed, 0o700);
    const server = await start(join(installed, '.grantry'), { native });
    await ask(server.url, 'CREATE DATABASE further');
    expect(await ask(server.url.replace(/postgres$/, 'further'), 'SELECT 1')).toBe(1);
    expect((await stat(installed)).mode & 0o777).toBe(0o700);
  });

  test('that do not run are told of, with their reason and the way out', async () => {
    const broken = await mkdtemp(join(root, 'broken-'));
    await mkdir(join(broken, 'bin'));
    await writeFile(join(broken, 'bin', 'postgres'), '#!/bin/sh\necho "cannot be" >&2\nexit 127\n', { mode: 0o755 });
    const failing = start(join(root, 'broken'), { native: broken });
    await expect(failing).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/DATABASE_URL.*cannot be/) });
  });
});
