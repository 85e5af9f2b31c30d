import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGrantryClient, type GrantryClient } from '../client/client.ts';
import { UsageError } from './outcome.ts';

/** Where the broker is and who asks, from options and environment. A key is never an argument: others can read those. */

export type GlobalOptions = { url?: string; apiKeyFile?: string; project?: string; json?: boolean };
export type Settings = { url: string; client: GrantryClient };

export const defaultUrl = 'http://localhost:3000';
export const urlOf = ({ url }: GlobalOptions, env: NodeJS.ProcessEnv): string => url ?? env.GRANTRY_URL ?? defaultUrl;

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Throws UsageError when there is no key. */
export function readSettings(options: GlobalOptions, env: NodeJS.ProcessEnv): Settings {
  const url = urlOf(options, env);
  if (!/^https?:\/\/[^\s]+$/.test(url) || !URL.canParse(url))
    throw new UsageError(`"${url}" is not an address: it must begin with http:// or https://.`);
  const apiKey = keyOf(options, env);
  return { url, client: createGrantryClient({ baseUrl: url, apiKey, ...(options.project !== undefined && { project: options.project }) }) };
}

function keyOf({ apiKeyFile }: GlobalOptions, env: NodeJS.ProcessEnv): string {
  if (apiKeyFile !== undefined) {
    const key = readKey(apiKeyFile);
    if (!key) throw new UsageError(`There is no key in ${apiKeyFile}.`);
    return key;
  }
  // A broker that was started here for development has put its root key there.
  const key = env.GRANTRY_API_KEY || readKey(join(env.GRANTRY_DATA_DIR ?? '.grantry', 'root-key'));
  if (!key) throw new UsageError('No API key: set GRANTRY_API_KEY, or give --api-key-file.');
  return key;
}
