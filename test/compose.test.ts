import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, inject, it } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../src/config.ts';
import { diagnoseRedis } from '../src/jobs/diagnosis.ts';
import { generateKeyRing } from '../src/outside/key-ring.ts';
import { freePort } from './harness/free-port.ts';
import { redisProgram, spawnRedis } from './harness/redis-server.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

type Service = {
  environment?: Record<string, string>;
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  deploy?: { replicas: number };
  read_only?: boolean;
  volumes?: string[];
  command?: string[];
  configs?: { source: string; target: string }[];
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  ulimits?: Record<string, unknown>;
  privileged?: boolean;
  network_mode?: string;
  user?: string;
  ports?: string[];
};
const text = read('docker-compose.yml');
const { services, configs }: { services: Record<string, Service>; configs: Record<string, { content: string }> } = parse(text, { merge: true });

/** As compose fills it in, of what stands in .env. */
const filled = (value: string, env: Record<string, string>) =>
  value.replace(/\$\{([A-Z_]+)(?::-([^}]*))?(?::?\?[^}]*)?\}/g, (_, name: string, otherwise?: string) => env[name] || (otherwise ?? ''));

/** The lines that scripts/secrets.mjs prints, as compose reads them from .env. */
function madeSecrets(...names: string[]): Record<string, string> {
  const made = execFileSync(process.execPath, ['scripts/secrets.mjs', ...names], { encoding: 'utf8' });
  return Object.fromEntries([...made.matchAll(/^([A-Z_]+)='?(.*?)'?$/gm)].map(([, name, value]) => [name, value]));
}

/** What the image or the file itself says. */
const fixed = ['NODE_ENV', 'HOST', 'PORT', 'GRANTRY_DATA_DIR', 'GRANTRY_ROLE', 'DATABASE_URL', 'REDIS_URL', 'GRANTRY_ALLOW_PRIVATE_HOSTS'];
const needed = ['PUBLIC_URL', 'GRANTRY_KEYS', 'GRANTRY_ROOT_KEY', 'LOG_LEVEL', 'TRUST_PROXY'];

describe('docker-compose.yml', () => {
  it('has two web and two worker processes beside Postgres and Redis', () => {
    expect(Object.keys(services).sort()).toEqual(['postgres', 'redis', 'web', 'worker']);
    for (const role of ['web', 'worker']) {
      expect(services[role]?.deploy?.replicas).toBe(2);
      expect(services[role]?.environment?.['GRANTRY_ROLE']).toBe(role);
      expect(services[role]?.read_only).toBe(true);
      // What a process spills outlives it, in the directory that the image has for it.
      expect(services[role]?.volumes).toEqual(['spill:/var/lib/grantry']);
    }
  });

  it('our processes have no rights, write no core, and are reached from this machine alone; nobody else is reached from outside', () => {
    for (const role of ['web', 'worker']) {
      expect(services[role]).toMatchObject({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], ulimits: { core: 0 } });
      for (const { cap_add, user } of [services[role] ?? {}]) expect([cap_add, user]).toEqual([undefined, undefined]);
    }
    for (const { privileged, network_mode, ports = [] } of Object.values(services)) {
      expect([privileged, network_mode]).toEqual([undefined, undefined]);
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
  });

  it('the role of the broker is none of Postgres’s superusers, and the owner of its database', async () => {
    const { environment = {}, volumes } = services['postgres'] ?? {};
    expect(environment).not.toHaveProperty('POSTGRES_USER');
    expect(volumes).toContain('./scripts/postgres-role.sh:/docker-entrypoint-initdb.d/role.sh:ro');
    expect(services['web']?.environment?.['DATABASE_URL']).toMatch(/^postgres:\/\/grantry:\$\{POSTGRES_PASSWORD:.*@postgres:5432\/grantry$/);
    const [, statements = ''] = /<<'SQL'\n([\s\S]*)SQL\n$/.exec(read('scripts/postgres-role.sh')) ?? [];
    const client = new pg.Client(inject('postgresUrl'));
    await client.connect();
    try {
      for (const statement of statements.split(';').filter((part) => part.trim() !== '')) {
        await client.query(statement.replace(":'password'", "'x'").replace(/\bgrantry\b/g, 'grantry_of_compose'));
      }
      const { rows } = await client.query(
        `select rolsuper, rolbypassrls, rolcreaterole, datname from pg_roles r join pg_database d on d.datdba = r.oid where rolname = 'grantry_of_compose'`,
      );
      expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false, rolcreaterole: false, datname: 'grantry_of_compose' }]);
    } finally {
      await client.query('drop database if exists grantry_of_compose');
      await client.query('drop role if exists grantry_of_compose');
      await client.end();
    }
  });

  it('every service has a health check, and ours wait for the healthy others', () => {
    for (const { healthcheck } of Object.values(services)) expect(healthcheck?.test[0]).toBe('CMD');
    for (const role of ['web', 'worker']) {
      expect(services[role]?.depends_on).toEqual({ postgres: { condition: 'service_healthy' }, redis: { condition: 'service_healthy' } });
    }
  });

  it('every variable that it takes from .env stands in .env.example', () => {
    const used = new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name));
    expect(used.size).toBeGreaterThan(4);
    const example = new Set([...read('.env.example').matchAll(/^(?:# )?([A-Z_]+)=/gm)].map(([, name]) => name));
    expect([...used].filter((name) => !example.has(name))).toEqual([]);
  });

  it('takes every variable of docs/operations.md from .env, and what is not there is as good as not set', () => {
    const table = /^\| variable [\s\S]*?\n\n/m.exec(read('docs/operations.md'))?.[0] ?? '';
    const known = [...table.matchAll(/^\| (`[A-Z_`, ]+) \|/gm)].flatMap(([, names = '']) => names.match(/[A-Z_]+/g) ?? []);
    expect(known.length).toBeGreaterThan(30);
    for (const role of ['web', 'worker']) {
      const { environment = {} } = services[role] ?? {};
      const optional = known.filter((name) => !fixed.includes(name) && !needed.includes(name));
      for (const name of optional) expect(environment[name]).toBe(`\${${name}:-}`);
      const usual = { NODE_ENV: 'production', DATABASE_URL: 'postgres://a:b@c/d', PUBLIC_URL: 'https://connect.example.com' };
      const secret = { GRANTRY_KEYS: generateKeyRing(), GRANTRY_ROOT_KEY: 'x'.repeat(40) };
      const empty = Object.fromEntries(optional.map((name) => [name, filled(environment[name] ?? '', {})]));
      expect(Object.values(empty).join('')).toBe('');
      const { keys, ...rest } = readConfig({ ...usual, ...secret, ...empty });
      const { keys: _, ...bare } = readConfig({ ...usual, ...secret });
      expect([keys.kind, rest]).toEqual(['given', bare]);
    }
  });

  it('runs with a key service instead of keys', () => {
    const env = {
      GRANTRY_KEYS: '',
      GRANTRY_KMS_URL: 'https://kms.example.com/v1',
      GRANTRY_KMS_TOKEN_FILE: '/run/secrets/kms',
      PUBLIC_URL: 'https://x.example.com',
    };
    const given = Object.entries(services['web']?.environment ?? {}).map(([name, value]) => [
      name,
      filled(value, { ...env, GRANTRY_ROOT_KEY: 'x'.repeat(40) }),
    ]);
    const config = readConfig({ NODE_ENV: 'production', ...Object.fromEntries(given) });
    expect(config).toMatchObject({ keys: { kind: 'none' }, kms: { url: env.GRANTRY_KMS_URL }, wrapWith: 'kms' });
  });

  it('what it gives our processes is a configuration for production, with the secrets that scripts/secrets.mjs makes', () => {
    const env: Record<string, string> = { PUBLIC_URL: 'https://connect.example.com', ...madeSecrets() };
    for (const role of ['web', 'worker']) {
      const given = Object.entries(services[role]?.environment ?? {}).map(([name, value]) => [name, filled(value, env)]);
      const config = readConfig({ NODE_ENV: 'production', HOST: '0.0.0.0', ...Object.fromEntries(given) });
      expect(config).toMatchObject({
        role,
        database: { kind: 'external' },
        queue: { kind: 'redis' },
        keys: { kind: 'given' },
        rootKey: { kind: 'given' },
      });
    }
  });
});

describe('the Redis of docker-compose.yml', () => {
  const { command = [], configs: mounted = [], environment = {}, healthcheck } = services['redis'] ?? {};
  const url = services['web']?.environment?.['REDIS_URL'] ?? '';

  it('has a password that no command holds, and an .env without it is told what to do', () => {
    expect(command.join(' ')).not.toMatch(/\$|pass|auth/i);
    const uses = [url, configs['redis']?.content ?? '', environment['REDISCLI_AUTH'] ?? ''];
    for (const use of uses) expect(use).toContain('${REDIS_PASSWORD:?run node scripts/secrets.mjs REDIS_PASSWORD >> .env}');
    expect(text.match(/\$\{REDIS_PASSWORD/g)).toHaveLength(uses.length);
    // Other secrets that an .env already has are not made anew: the last line of a name would win.
    expect(Object.keys(madeSecrets('REDIS_PASSWORD'))).toEqual(['REDIS_PASSWORD']);
    expect(spawnSync(process.execPath, ['scripts/secrets.mjs', 'REDIS_PASS'], { encoding: 'utf8' })).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('REDIS_PASSWORD'),
    });
  });

  it('a real one, started so, refuses whoever has no password, and serves the address that the broker is given', { timeout: 60_000 }, async () => {
    const program = await redisProgram();
    if (program === undefined) throw new Error('This needs a redis-server: install one.');
    const env = madeSecrets('REDIS_PASSWORD');
    const dir = mkdtempSync(join(tmpdir(), 'grantry-compose-'));
    const [{ source, target } = { source: '', target: '' }] = mounted;
    const file = join(dir, 'redis.conf');
    writeFileSync(file, filled(configs[source]?.content ?? '', env));
    expect(command).toEqual(['redis-server', target]);
    const port = await freePort();
    const server = spawnRedis([program, file, '--bind', '127.0.0.1', '--port', String(port), '--dir', dir]);
    try {
      const bare = `redis://127.0.0.1:${port}`;
      const stranger = new Redis(bare, { maxRetriesPerRequest: null, enableReadyCheck: false });
      stranger.on('error', () => {});
      // Waits until it is there.
      await expect(stranger.ping()).rejects.toThrow(/NOAUTH/);
      await expect(stranger.set('x', 'y')).rejects.toThrow(/NOAUTH/);
      stranger.disconnect();
      for (const refused of [bare, bare.replace('//', '//:guessed@')]) expect(await diagnoseRedis(refused)).toMatchObject({ outcome: 'failed' });
      const given = filled(url, env).replace('@redis:6379', `@127.0.0.1:${port}`);
      // It warns of any policy but noeviction.
      expect(await diagnoseRedis(given)).toMatchObject({ outcome: 'ok', what: expect.stringContaining('answers') });
      const broker = new Redis(given);
      expect(await broker.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
      broker.disconnect();
      const [, cli = '', ...asked] = healthcheck?.test ?? [];
      const healthy = (auth: string) =>
        spawnSync(cli, ['-p', String(port), ...asked], { env: { PATH: process.env.PATH, REDISCLI_AUTH: auth } }).status === 0;
      expect([healthy(filled(environment['REDISCLI_AUTH'] ?? '', env)), healthy('guessed'), healthy('')]).toEqual([true, false, false]);
    } finally {
      await server.end();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('Dockerfile', () => {
  const stages = read('Dockerfile')
    .split(/^FROM /m)
    .slice(1);
  const last = stages.at(-1) ?? '';

  it('runs as somebody without rights, in production, with a health check', () => {
    expect(stages.length).toBeGreaterThan(1);
    expect(/^USER (.*)$/m.exec(last)?.[1]).toBe('node');
    expect(last).toMatch(/^ENV .*\bNODE_ENV=production\b.*\bHOST=0\.0\.0\.0\b/m);
    expect(last).toMatch(/^HEALTHCHECK /m);
    expect(last.indexOf('USER ')).toBeLessThan(last.indexOf('CMD ["node", "--enable'));
  });

  it('is built without running what dependencies would run, and without what only development needs', () => {
    const [build = ''] = stages;
    expect(build.match(/^RUN npm (?:ci|prune) .*$/gm)).toEqual([
      expect.stringMatching(/^RUN npm ci --ignore-scripts\b/),
      expect.stringMatching(/^RUN npm prune --omit=dev --omit=optional --ignore-scripts\b/),
    ]);
    expect(last).not.toMatch(/^RUN .*\b(?:npm|apt-get|curl|wget)\b/m);
    expect(last).not.toMatch(/--inspect|--heap/);
  });

  it('what it copies is not ignored', () => {
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.*)$/gm)].flatMap(([, paths]) => paths?.split(' ').slice(0, -1) ?? []);
    expect(copied.length).toBeGreaterThan(6);
    for (const path of copied) expect(kept).toContain(path.split('/')[0]);
  });
});
