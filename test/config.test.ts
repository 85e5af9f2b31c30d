import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { configFaults, readConfig } from '../src/config.ts';
import { generateKeyRing } from '../src/outside/key-ring.ts';
import { GrantryError } from '../src/protocol/errors.ts';

const rootKey = 'r'.repeat(32);
const keys = generateKeyRing();
const production = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://connect.example.com',
  DATABASE_URL: 'postgres://grantry:pa55word@db.example.com/grantry',
  GRANTRY_KEYS: keys,
  GRANTRY_ROOT_KEY: rootKey,
};

/** The variables that are at fault, and the error itself. */
function faultsOf(env: Record<string, string | undefined>): { names: string[]; error: GrantryError } {
  try {
    readConfig(env);
  } catch (error) {
    if (!(error instanceof GrantryError)) throw error;
    expect(error.code).toBe('invalid_request');
    return { names: (error.details.errors ?? []).map(({ pointer }) => pointer), error };
  }
  throw new Error('The configuration was accepted.');
}

it('an empty environment is a development broker that needs nothing', () => {
  const dataDir = resolve('.grantry');
  expect(readConfig({})).toEqual({
    mode: 'development',
    role: 'all',
    publicUrl: 'http://localhost:3000',
    host: '127.0.0.1',
    port: 3000,
    database: { kind: 'embedded', dir: join(dataDir, 'postgres') },
    queue: { kind: 'postgres' },
    keys: { kind: 'file', path: join(dataDir, 'keys.json') },
    kms: undefined,
    projectKeysFile: undefined,
    wrapWith: 'keys',
    rootKey: { kind: 'file', dir: dataDir },
    allowPrivateHosts: false,
    logLevel: 'info',
    trustedProxies: 0,
    dataDir,
    metricsPort: undefined,
    refreshConcurrency: 200,
    eventRetentionDays: 90,
    rotation: { rowsPerS: 1_000, graceS: 86_400 },
    limits: { calls: 6_000, wrong_keys: 20, pages: 600, unknown_callbacks: 60, links: 1_200 },
    mostPendingLinks: 10_000,
    mostSockets: 1_000,
    otlpEndpoint: undefined,
  });
});

it('what concerns the jobs and the metrics is read, and what cannot be is told', () => {
  const given = {
    METRICS_PORT: '9464',
    GRANTRY_REFRESH_CONCURRENCY: '50',
    GRANTRY_EVENT_RETENTION_DAYS: '7',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318',
  };
  const read = { metricsPort: 9464, refreshConcurrency: 50, eventRetentionDays: 7, otlpEndpoint: 'http://localhost:4318' };
  expect(readConfig(given)).toMatchObject(read);
  const wrong = {
    METRICS_PORT: '70000',
    GRANTRY_REFRESH_CONCURRENCY: '0',
    GRANTRY_EVENT_RETENTION_DAYS: 'long',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector',
  };
  expect(faultsOf(wrong).names.sort()).toEqual(
    Object.keys(wrong)
      .map((name) => `/${name}`)
      .sort(),
  );
});

it('an empty or blank variable is an absent one', () => {
  const names = [
    'DATABASE_URL',
    'REDIS_URL',
    'PUBLIC_URL',
    'GRANTRY_KEYS',
    'GRANTRY_ROOT_KEY',
    'GRANTRY_ROLE',
    'PORT',
    'HOST',
    'LOG_LEVEL',
    'TRUST_PROXY',
  ];
  expect(readConfig(Object.fromEntries(names.map((name) => [name, ' '])))).toEqual(readConfig({}));
});

describe('what is given is taken', () => {
  it.each<[Record<string, string>, object]>([
    [{ PORT: '8080' }, { port: 8080, publicUrl: 'http://localhost:8080' }],
    [
      { PORT: '8080', PUBLIC_URL: 'https://a.example/' },
      { port: 8080, publicUrl: 'https://a.example' },
    ],
    [
      { PORT: '0', PUBLIC_URL: 'http://127.0.0.1:4000' },
      { port: 0, publicUrl: 'http://127.0.0.1:4000' },
    ],
    [{ HOST: '::' }, { host: '::' }],
    [{ GRANTRY_ROLE: 'web' }, { role: 'web' }],
    [{ GRANTRY_ROLE: 'worker' }, { role: 'worker' }],
    [{ GRANTRY_ALLOW_PRIVATE_HOSTS: 'true' }, { allowPrivateHosts: true }],
    [{ GRANTRY_ALLOW_PRIVATE_HOSTS: '1' }, { allowPrivateHosts: true }],
    [{ GRANTRY_ALLOW_PRIVATE_HOSTS: 'false' }, { allowPrivateHosts: false }],
    [{ LOG_LEVEL: 'silent' }, { logLevel: 'silent' }],
    [{ TRUST_PROXY: '2' }, { trustedProxies: 2 }],
    [
      { GRANTRY_DATA_DIR: '/var/lib/grantry' },
      { rootKey: { kind: 'file', dir: '/var/lib/grantry' }, keys: { kind: 'file', path: '/var/lib/grantry/keys.json' } },
    ],
  ])('%j', (env, expected) => {
    expect(readConfig(env)).toMatchObject(expected);
  });

  it('secrets', () => {
    const { database, queue, keys: given, rootKey: root } = readConfig({ ...production, REDIS_URL: 'rediss://redis.example' });
    expect(database.kind === 'external' && database.url.reveal()).toBe(production.DATABASE_URL);
    expect(queue.kind === 'redis' && queue.url.reveal()).toBe('rediss://redis.example');
    expect(given.kind === 'given' && given.ring.kids).toHaveLength(1);
    expect(root.kind === 'given' && root.key.reveal()).toBe(rootKey);
  });
});

describe('what cannot be used is refused', () => {
  it.each<[string, string]>([
    ['DATABASE_URL', 'mysql://host/x'],
    ['DATABASE_URL', 'postgres:nohost'],
    ['DATABASE_URL', 'localhost:5432'],
    ['REDIS_URL', 'http://redis'],
    ['PUBLIC_URL', 'broker.internal'],
    ['PUBLIC_URL', 'https://connect.example.com/path'],
    ['PUBLIC_URL', 'https://connect.example.com?x'],
    ['PUBLIC_URL', 'https://user@connect.example.com'],
    ['PUBLIC_URL', 'https://Connect.example.com'],
    ['PUBLIC_URL', 'https://connect.example.com:443'],
    ['PUBLIC_URL', 'ftp://connect.example.com'],
    ['GRANTRY_KEYS', 'not json'],
    ['GRANTRY_KEYS', '{"keys":[]}'],
    ['GRANTRY_ROOT_KEY', 'r'.repeat(31)],
    ['GRANTRY_ROOT_KEY', `${'r'.repeat(20)} ${'r'.repeat(20)}`],
    ['GRANTRY_ROOT_KEY', `grt_${'r'.repeat(40)}`],
    ['GRANTRY_ROOT_KEY', 'ä'.repeat(40)],
    ['GRANTRY_ROLE', 'Worker'],
    ['GRANTRY_ALLOW_PRIVATE_HOSTS', 'yes'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '3000.5'],
    ['PORT', '1e3'],
    ['PORT', 'http'],
    ['HOST', 'http://localhost'],
    ['LOG_LEVEL', 'verbose'],
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '21'],
  ])('%s=%s', (name, value) => {
    const { names, error } = faultsOf({ [name]: value });
    expect(names).toEqual([`/${name}`]);
    expect(JSON.stringify(error.details)).not.toContain(value);
  });

  it('a port that nobody can know, without PUBLIC_URL', () => {
    expect(faultsOf({ PORT: '0' }).names).toEqual(['/PUBLIC_URL']);
  });

  it('each fault of a key set has its own line', () => {
    const { names, error } = faultsOf({ GRANTRY_KEYS: '{"keys":[{"kty":"RSA","kid":"a","k":"secretsecret"}]}' });
    expect(names).toEqual(['/GRANTRY_KEYS', '/GRANTRY_KEYS']);
    expect(configFaults(error)).toContain('GRANTRY_KEYS /keys/0/kty must be "oct".');
    expect(configFaults(error)).not.toContain('secretsecret');
  });

  it('all faults at once, each with what to do', () => {
    const { names, error } = faultsOf({ PORT: 'x', GRANTRY_ROLE: 'x', LOG_LEVEL: 'x', REDIS_URL: 'x' });
    expect(names.sort()).toEqual(['/GRANTRY_ROLE', '/LOG_LEVEL', '/PORT', '/REDIS_URL']);
    expect(configFaults(error).split('\n')).toHaveLength(6);
    expect(configFaults(error)).toContain('  PORT must be a whole number from 0 to 65535.');
  });
});

describe('in production', () => {
  it('what must be given is given', () => {
    expect(readConfig(production)).toMatchObject({ mode: 'production', publicUrl: 'https://connect.example.com', queue: { kind: 'postgres' } });
  });

  it('nothing is made up', () => {
    const { names, error } = faultsOf({ NODE_ENV: 'production' });
    expect(names.sort()).toEqual(['/DATABASE_URL', '/GRANTRY_KEYS', '/GRANTRY_ROOT_KEY', '/PUBLIC_URL']);
    expect(configFaults(error)).toContain('GRANTRY_KEYS is needed in production');
  });

  it.each<[string, Record<string, string>]>([
    ['/PUBLIC_URL', { PUBLIC_URL: 'http://connect.example.com' }],
    ['/PUBLIC_URL', { PUBLIC_URL: 'http://localhost:3000' }],
    ['/GRANTRY_ALLOW_PRIVATE_HOSTS', { GRANTRY_ALLOW_PRIVATE_HOSTS: 'true' }],
  ])('%s is refused: %j', (pointer, env) => {
    expect(faultsOf({ ...production, ...env }).names).toEqual([pointer]);
  });
});

describe('the configuration', () => {
  const config = readConfig({ ...production, REDIS_URL: 'redis://:pa55word@redis.example' });

  it('holds secrets that do not print', () => {
    const k: string = JSON.parse(keys).keys[0].k;
    for (const shown of [
      inspect(config, { depth: 10, showHidden: true }),
      JSON.stringify(config),
      String(config.rootKey.kind === 'given' && config.rootKey.key),
    ]) {
      expect(shown).toContain('[sealed]');
      for (const secret of ['pa55word', rootKey, k]) expect(shown).not.toContain(secret);
    }
  });

  it('is frozen', () => {
    for (const part of [config, config.database, config.queue, config.keys, config.rootKey]) expect(Object.isFrozen(part)).toBe(true);
  });
});

describe('where the master keys are', () => {
  const kms = { GRANTRY_KMS_URL: 'https://kms.example.com/v1', GRANTRY_KMS_TOKEN_FILE: '/run/secrets/kms' };
  const { GRANTRY_KEYS: _, ...without } = production;

  it('a file, a key service, or both', () => {
    expect(readConfig({ ...without, GRANTRY_KEYS_FILE: '/run/secrets/keys' })).toMatchObject({
      keys: { kind: 'mounted', path: '/run/secrets/keys' },
      wrapWith: 'keys',
    });
    expect(readConfig({ ...without, ...kms })).toMatchObject({
      keys: { kind: 'none' },
      kms: { url: kms.GRANTRY_KMS_URL, tokenFile: '/run/secrets/kms', allowPrivateHost: false, caFile: undefined },
      wrapWith: 'kms',
    });
    expect(readConfig({ ...production, ...kms })).toMatchObject({ keys: { kind: 'given' }, wrapWith: 'kms' });
    expect(readConfig({ ...production, ...kms, GRANTRY_WRAP_WITH: 'keys' })).toMatchObject({ wrapWith: 'keys' });
    expect(readConfig({ ...production, ...kms, GRANTRY_KMS_CA_FILE: '/etc/ssl/ours.pem' })).toMatchObject({ kms: { caFile: '/etc/ssl/ours.pem' } });
    const local = { ...kms, GRANTRY_KMS_URL: 'http://127.0.0.1:8200/v1', GRANTRY_KMS_ALLOW_PRIVATE_HOST: 'true' };
    expect(readConfig({ ...without, ...local })).toMatchObject({ kms: { allowPrivateHost: true } });
  });

  it.each<[string, Record<string, string>]>([
    ['/GRANTRY_KEYS_FILE', { ...production, GRANTRY_KEYS_FILE: '/run/secrets/keys' }],
    ['/GRANTRY_KEYS', without],
    ['/GRANTRY_KMS_TOKEN_FILE', { ...without, GRANTRY_KMS_URL: kms.GRANTRY_KMS_URL }],
    ['/GRANTRY_KMS_URL', { ...production, GRANTRY_KMS_TOKEN_FILE: '/x' }],
    ['/GRANTRY_KMS_URL', { ...production, GRANTRY_KMS_ALLOW_PRIVATE_HOST: 'true' }],
    ['/GRANTRY_KMS_URL', { ...production, GRANTRY_KMS_CA_FILE: '/x' }],
    ...[
      'kms',
      'ftp://kms.example.com',
      'https://10.0.0.7/v1',
      'https://kms.internal/v1',
      'https://a:b@kms.example.com',
      'https://kms.example.com/?x=1',
    ].map((url): [string, Record<string, string>] => ['/GRANTRY_KMS_URL', { ...without, ...kms, GRANTRY_KMS_URL: url }]),
    // Data keys would travel in the open.
    ['/GRANTRY_KMS_URL', { ...without, ...kms, GRANTRY_KMS_URL: 'http://kms.internal/v1', GRANTRY_KMS_ALLOW_PRIVATE_HOST: 'true' }],
    ['/GRANTRY_KMS_URL', { ...without, ...kms, GRANTRY_KMS_URL: 'http://127.0.0.1:8200/v1' }],
    ['/GRANTRY_WRAP_WITH', { ...production, GRANTRY_WRAP_WITH: 'kms' }],
    ['/GRANTRY_WRAP_WITH', { ...without, ...kms, GRANTRY_WRAP_WITH: 'keys' }],
    ['/GRANTRY_WRAP_WITH', { ...production, GRANTRY_WRAP_WITH: 'both' }],
  ])('%s is told: %#', (name, env) => {
    expect(faultsOf(env).names).toEqual([name]);
  });
});
