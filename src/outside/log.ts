import { pino } from 'pino';
import type { Log } from '../broker/world.ts';

/** Fields that never reach a log line, wherever they stand; the last net behind not logging them at all. */
const secretNames = [
  'authorization',
  'cookie',
  'access_token',
  'refresh_token',
  'id_token',
  'client_secret',
  'code',
  'code_verifier',
  'state',
  'nonce',
  'oauth_token',
  'oauth_token_secret',
  'oauth_verifier',
  'password',
  'api_key',
  'key',
  'token',
  'inputs',
  'body',
  'url',
];
// `code` is also what an error's code is called: our own log lines use it for that at the top level only.
const nested = secretNames.flatMap((name) => [`*.${name}`, `*.*.${name}`]);
const top = secretNames.filter((name) => name !== 'code');

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** JSON lines on standard output, or wherever `destination` writes to. */
export function createLog(level: LogLevel, destination?: { write(line: string): void }): Log {
  const options = {
    level,
    base: { service: 'grantry' },
    redact: { paths: [...top, ...nested], censor: '[sealed]' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
