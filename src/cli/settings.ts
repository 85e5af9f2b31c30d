import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGrantryClient, type GrantryClient } from '../client/client.ts';
import { UsageError } from './outcome.ts';
import { readText } from './secret.ts';

/** Where the broker is and who asks, from options and environment. A key is never an argument: others can read those. */

export type GlobalOptions = { url?: string; apiKeyFile?: string; project?: string; json?: boolean };
/** `claimed`: the project that was named with a key that has one of its own. */
export type Settings = { url: string; client: GrantryClient; claimed: string | undefined };

export const defaultUrl = 'http://localhost:3000';
export const urlOf = ({ url }: GlobalOptions, env: NodeJS.ProcessEnv): string => url ?? env.GRANTRY_URL ?? defaultUrl;

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** What a header can hold; the keys and ids that there are look like that. */
const isOneWord = (text: string): boolean => /^[!-~]+$/.test(text);

/** Throws UsageError when there is no key, or what is given cannot be one. */
export function readSettings(options: GlobalOptions, env: NodeJS.ProcessEnv): Settings {
  const url = urlOf(options, env);
  if (!/^https?:\/\/[^\s]+$/.test(url) || !URL.canParse(url))
    throw new UsageError(`"${url}" is not an address: it must begin with http:// or https://, as in ${defaultUrl}.`);
  if (/[?#@]/.test(url)) throw new UsageError('The address must hold no user name, password, ? or #: the API key comes from GRANTRY_API_KEY.');
  const apiKey = keyOf(options, env);
  const { project } = options;
  if (project !== undefined && !isOneWord(project))
    throw new UsageError(`"${project}" is no id of a project: grantry project list shows those that there are.`);
  const client = createGrantryClient({ baseUrl: url, apiKey, ...(project !== undefined && { project }) });
  return { url, client, claimed: apiKey.startsWith('grt_') ? project : undefined };
}

function keyOf({ apiKeyFile }: GlobalOptions, env: NodeJS.ProcessEnv): string {
  if (apiKeyFile !== undefined) {
    const key = readText(apiKeyFile).trim();
    if (key === '') throw new UsageError(`There is no key in ${apiKeyFile}.`);
    if (!isOneWord(key)) throw new UsageError(`${apiKeyFile} must hold the key alone, on one line.`);
    return key;
  }
  // The surroundings of a broker hold its root key, as in its container. A broker that was started here for development has put its root key there.
  const key = env.GRANTRY_API_KEY || env.GRANTRY_ROOT_KEY || readKey(join(env.GRANTRY_DATA_DIR ?? '.grantry', 'root-key'));
  if (!key) throw new UsageError('No API key: set GRANTRY_API_KEY, or give --api-key-file.');
  if (!isOneWord(key))
    throw new UsageError(
      'GRANTRY_API_KEY (or GRANTRY_ROOT_KEY) must hold the key alone: it has a space, a line break or another sign that no key has.',
    );
  return key;
}
