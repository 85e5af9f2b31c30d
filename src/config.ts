import { join, resolve } from 'node:path';
import type { Allowances } from './broker/limits.ts';
import { type KeysConfig, readKeys } from './config-keys.ts';
import { createReader, type Environment, integer, isSet, type Mode, oneOf, type Reader, urlOf } from './config-reader.ts';
import { type Fault, GrantryError } from './protocol/errors.ts';
import { isRootKeyText } from './protocol/root-key.ts';
import { Secret } from './protocol/secret.ts';

const roles = ['all', 'web', 'worker'] as const;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** What a process is told by its environment; frozen, secrets print as `[sealed]`. The table is in docs/operations.md. */
export type Config = KeysConfig & {
  readonly mode: Mode;
  readonly role: (typeof roles)[number];
  /** Our own origin, without a slash at the end. */
  readonly publicUrl: string;
  readonly host: string;
  readonly port: number;
  /** `embedded`: a Postgres of our own in `dir`. */
  readonly database: { readonly kind: 'external'; readonly url: Secret } | { readonly kind: 'embedded'; readonly dir: string };
  /** `postgres`: BullMQ runs on the database. */
  readonly queue: { readonly kind: 'redis'; readonly url: Secret } | { readonly kind: 'postgres' };
  /** `file`: made once in `dir`, and shown once. */
  readonly rootKey: { readonly kind: 'given'; readonly key: Secret } | { readonly kind: 'file'; readonly dir: string };
  readonly allowPrivateHosts: boolean;
  readonly logLevel: (typeof logLevels)[number];
  /** How many proxies in front of us append to X-Forwarded-For; 0: nobody is believed. */
  readonly trustedProxies: number;
  /** What this process writes to its disk: made keys, the embedded Postgres, credentials that Postgres could not take yet. */
  readonly dataDir: string;
  /** Where /metrics is served without a key; undefined: only on the main port, with one. */
  readonly metricsPort: number | undefined;
  /** How many refreshes a worker has under way at most. */
  readonly refreshConcurrency: number;
  readonly eventRetentionDays: number;
  /** How fast rows are sealed anew when the keys are changed, and how long the old ones are kept at least. */
  readonly rotation: { readonly rowsPerS: number; readonly graceS: number };
  readonly limits: Allowances;
  /** How many links of a project may be unfinished at once. */
  readonly mostPendingLinks: number;
  /** How many connections one address may have open at once; it counts where no proxy is trusted. */
  readonly mostSockets: number;
  /** Base URL of an OpenTelemetry collector (OTLP over HTTP) to which traces of jobs are sent. */
  readonly otlpEndpoint: string | undefined;
};

/** What is allowed and still worth a word to whoever runs this process; nothing: undefined. */
export function configurationAdvice({
  mode,
  publicUrl,
  allowPrivateHosts,
  trustedProxies,
  database,
}: Config): { what: string; advice: string } | undefined {
  if (mode === 'development')
    return {
      what: 'This process runs for development: what is missing is made up.',
      advice: 'Set NODE_ENV=production where real accounts are connected.',
    };
  if (allowPrivateHosts) return { what: 'Providers may be private addresses.', advice: 'Unset GRANTRY_ALLOW_PRIVATE_HOSTS.' };
  if (database.kind === 'embedded') return { what: 'The database is the embedded one.', advice: 'Set DATABASE_URL.' };
  if (publicUrl.startsWith('https:') && trustedProxies === 0)
    return {
      what: 'PUBLIC_URL is https, and no proxy is trusted.',
      advice: 'If one ends TLS in front of this process, set TRUST_PROXY to how many there are: addresses in the log are the proxy’s otherwise.',
    };
  return undefined;
}

function readPublicUrl({ text, fault }: Reader, mode: Mode, port: number): string {
  const given = text('PUBLIC_URL');
  if (given === undefined) {
    if (mode === 'production') fault('PUBLIC_URL', 'is needed in production: the https address at which browsers reach this broker.');
    else if (port === 0) fault('PUBLIC_URL', 'is needed with PORT=0: nobody can guess the port.');
    return `http://localhost:${port}`;
  }
  const url = urlOf(given, ['https:', 'http:']);
  if (url === undefined || (given !== url.origin && given !== `${url.origin}/`)) {
    fault('PUBLIC_URL', 'must be an origin in its normal form, such as https://connect.example.com: no path, no query, no user.');
    return given;
  }
  if (mode === 'production' && url.protocol !== 'https:') fault('PUBLIC_URL', 'must begin with https:// in production.');
  return url.origin;
}

function readDatabase({ text, fault }: Reader, mode: Mode, dataDir: string): Config['database'] {
  const given = text('DATABASE_URL');
  if (given === undefined) {
    if (mode === 'production')
      fault('DATABASE_URL', 'is needed in production (the embedded Postgres is for development): postgres://user:password@host/database.');
    return { kind: 'embedded', dir: join(dataDir, 'postgres') };
  }
  if (urlOf(given, ['postgres:', 'postgresql:']) === undefined) fault('DATABASE_URL', 'must look like postgres://user:password@host:5432/database.');
  return { kind: 'external', url: new Secret(given) };
}

function readQueue({ text, fault }: Reader): Config['queue'] {
  const given = text('REDIS_URL');
  if (given === undefined) return { kind: 'postgres' };
  if (urlOf(given, ['redis:', 'rediss:']) === undefined) fault('REDIS_URL', 'must look like redis://user:password@host:6379 (rediss:// for TLS).');
  return { kind: 'redis', url: new Secret(given) };
}

function readRootKey({ text, fault }: Reader, mode: Mode, dataDir: string): Config['rootKey'] {
  const given = text('GRANTRY_ROOT_KEY');
  if (given === undefined) {
    if (mode === 'production')
      fault('GRANTRY_ROOT_KEY', 'is needed in production: 32 random characters or more, such as what "openssl rand -base64 32" prints.');
    return { kind: 'file', dir: dataDir };
  }
  if (!isRootKeyText(given)) fault('GRANTRY_ROOT_KEY', 'must be 32 to 512 visible ASCII characters without spaces, and not begin with grt_.');
  return { kind: 'given', key: new Secret(given) };
}

function readPrivateHosts(reader: Reader, mode: Mode): boolean {
  const isAllowed = isSet(reader, 'GRANTRY_ALLOW_PRIVATE_HOSTS');
  if (isAllowed && mode === 'production')
    reader.fault('GRANTRY_ALLOW_PRIVATE_HOSTS', 'is refused in production: it lets providers point at private addresses. Remove it.');
  return isAllowed;
}

function readHost({ text, fault }: Reader): string {
  const host = text('HOST') ?? '127.0.0.1';
  if (!/^[A-Za-z0-9.:_-]{1,255}$/.test(host)) fault('HOST', 'must be an address or a host name to listen at, such as 127.0.0.1, 0.0.0.0 or ::.');
  return host;
}

/** The standard's own variable; the standard's other ones are read by its library. */
function readOtlpEndpoint({ text, fault }: Reader): string | undefined {
  const given = text('OTEL_EXPORTER_OTLP_ENDPOINT');
  if (given !== undefined && urlOf(given, ['https:', 'http:']) === undefined)
    fault('OTEL_EXPORTER_OTLP_ENDPOINT', 'must be the base URL of a collector, such as http://localhost:4318.');
  return given;
}

function readMetricsPort(reader: Reader): number | undefined {
  return reader.text('METRICS_PORT') === undefined ? undefined : integer(reader, 'METRICS_PORT', { least: 0, most: 65_535, otherwise: 0 });
}

/**
 * The configuration of a process. Throws `invalid_request` with every fault at once; each pointer is the variable's name
 * behind a slash, and no detail repeats a value. `configFaults` makes lines for a terminal of it.
 */
export function readConfig(env: Environment): Config {
  const faults: Fault[] = [];
  const reader = createReader(env, faults);
  const mode = reader.text('NODE_ENV') === 'production' ? 'production' : 'development';
  const dataDir = resolve(reader.text('GRANTRY_DATA_DIR') ?? '.grantry');
  const port = integer(reader, 'PORT', { least: 0, most: 65_535, otherwise: 3000 });
  const config: Config = {
    mode,
    role: oneOf(reader, 'GRANTRY_ROLE', roles, 'all'),
    publicUrl: readPublicUrl(reader, mode, port),
    host: readHost(reader),
    port,
    database: Object.freeze(readDatabase(reader, mode, dataDir)),
    queue: Object.freeze(readQueue(reader)),
    ...readKeys(reader, mode, dataDir),
    rootKey: Object.freeze(readRootKey(reader, mode, dataDir)),
    allowPrivateHosts: readPrivateHosts(reader, mode),
    logLevel: oneOf(reader, 'LOG_LEVEL', logLevels, 'info'),
    trustedProxies: integer(reader, 'TRUST_PROXY', { least: 0, most: 20, otherwise: 0 }),
    dataDir,
    metricsPort: readMetricsPort(reader),
    refreshConcurrency: integer(reader, 'GRANTRY_REFRESH_CONCURRENCY', { least: 1, most: 2_000, otherwise: 200 }),
    eventRetentionDays: integer(reader, 'GRANTRY_EVENT_RETENTION_DAYS', { least: 1, most: 3_650, otherwise: 90 }),
    rotation: Object.freeze({
      rowsPerS: integer(reader, 'GRANTRY_ROTATION_RATE', { least: 1, most: 999_999, otherwise: 1_000 }),
      graceS: integer(reader, 'GRANTRY_KEY_GRACE_HOURS', { least: 0, most: 8_760, otherwise: 24 }) * 3_600,
    }),
    limits: Object.freeze({
      calls: integer(reader, 'GRANTRY_LIMIT_CALLS', { least: 1, most: 999_999, otherwise: 6_000 }),
      wrong_keys: integer(reader, 'GRANTRY_LIMIT_WRONG_KEYS', { least: 1, most: 999_999, otherwise: 20 }),
      pages: integer(reader, 'GRANTRY_LIMIT_PAGES', { least: 1, most: 999_999, otherwise: 600 }),
      unknown_callbacks: integer(reader, 'GRANTRY_LIMIT_UNKNOWN_CALLBACKS', { least: 1, most: 999_999, otherwise: 60 }),
      links: integer(reader, 'GRANTRY_LIMIT_LINKS', { least: 1, most: 999_999, otherwise: 1_200 }),
    }),
    mostPendingLinks: integer(reader, 'GRANTRY_LIMIT_PENDING_LINKS', { least: 1, most: 999_999, otherwise: 10_000 }),
    mostSockets: integer(reader, 'GRANTRY_LIMIT_CONNECTIONS', { least: 1, most: 999_999, otherwise: 1_000 }),
    otlpEndpoint: readOtlpEndpoint(reader),
  };
  if (faults.length > 0) throw new GrantryError('invalid_request', { detail: 'The configuration cannot be used.', errors: faults });
  return Object.freeze(config);
}

/** The faults of `readConfig` for a terminal: a heading, then a line for each variable. */
export function configFaults(error: GrantryError): string {
  const lines = (error.details.errors ?? []).map(({ pointer, detail }) => `  ${pointer.slice(1)} ${detail}`);
  return [`${error.message} Please mend:`, ...lines, 'docs/operations.md describes every variable.'].join('\n');
}
