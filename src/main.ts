import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configFaults, readConfig } from './config.ts';
import { watchForCrashes } from './crash.ts';
import { createLog } from './outside/log.ts';
import { startBroker } from './process.ts';
import { GrantryError, isGrantryError } from './protocol/errors.ts';

/** The process: configuration, broker, orderly end. */

const ourSecrets = ['GRANTRY_KEYS', 'GRANTRY_ROOT_KEY', 'DATABASE_URL', 'REDIS_URL'];
/** The library reads these by itself, when it starts. */
const collectorSecrets = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'];

const here = dirname(fileURLToPath(import.meta.url));
const packageRoot = dirname(here);

function explain(error: unknown): string {
  if (isGrantryError(error, 'invalid_request')) return configFaults(error);
  if (error instanceof GrantryError) return error.message;
  const { code, message } =
    error instanceof Error ? { code: 'code' in error ? String(error.code) : '', message: error.message } : { code: '', message: String(error) };
  if (code === 'EADDRINUSE') return 'The port is in use: set PORT to another one, or end what uses it.';
  if (code === 'ECONNREFUSED') return 'Postgres does not answer: check DATABASE_URL.';
  return `Could not start: ${message.split('\n')[0] ?? ''}`;
}

/** Node writes the environment into its reports, and children inherit it. */
function forget(env: NodeJS.ProcessEnv, names: readonly string[]): void {
  for (const name of names) delete env[name];
}

async function main(): Promise<void> {
  const config = readConfig(process.env);
  forget(process.env, ourSecrets);
  const log = createLog(config.logLevel);
  watchForCrashes(log);
  const broker = await startBroker({ config, log, packageRoot, compiledProviders: join(here, 'providers.json') });
  forget(process.env, collectorSecrets);

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    await broker.stop();
    log.info({}, 'stopped');
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));

  if (broker.newRootKey !== undefined) {
    process.stderr.write(`\nThe root key of this installation, shown this once:\n\n  ${broker.newRootKey}\n\n`);
  }
  if (config.role !== 'worker') process.stderr.write(`Grantry is at ${broker.publicUrl} (API reference: ${broker.publicUrl}/docs)\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
});
