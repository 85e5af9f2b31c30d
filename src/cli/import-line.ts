import { setTimeout as sleep } from 'node:timers/promises';
import { type GrantryClient, GrantryProblem } from '../client/client.ts';
import { id } from './command.ts';
import { sentenceOf, UsageError } from './outcome.ts';
import { askedMs, isPassing } from './patience.ts';

/** A line of an import: what it asks for, and what became of it. */
export type Became = { connection_id: string } | { provider: string; version: number } | { error: { code: string; detail: string } };

type Send = (client: GrantryClient, digest: string) => Promise<Became>;

const failed = (code: string, detail: string): Became => ({ error: { code, detail } });

const connection =
  (body: object): Send =>
  async (client, digest) => {
    const made = await client.call<{ id: string }>('POST', '/v1/connections', { body, idempotencyKey: `import-${digest}` });
    return { connection_id: made.id };
  };

/** A definition, as `grantry export providers` writes it. */
const definition =
  (name: string, yaml: string): Send =>
  async (client) => {
    const { version } = await client.call<{ version: number }>('PUT', `/v1/providers/${id(name)}`, { body: yaml, contentType: 'application/yaml' });
    return { provider: name, version };
  };

/** How the line is sent, or why it is not. */
function read(text: string): Send | Became {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failed('invalid_json', 'The line is not JSON. Each line has to be a whole JSON document, without line breaks in it.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return failed('invalid_json', 'The line is no JSON object, {...}.');
  const { kind, id: name, yaml } = value as Record<string, unknown>; // looked at one by one
  switch (kind) {
    case undefined:
      return connection(value);
    case 'provider':
      if (typeof name === 'string' && typeof yaml === 'string') return definition(name, yaml);
      return failed('invalid_line', 'A provider needs "id" and "yaml", as grantry export providers writes them.');
    case 'integration':
      return failed('invalid_line', 'An export has no secrets, so no integration can be made of it: grantry integration add.');
    default:
      return failed('invalid_line', 'An export has no secrets, so no connection can be made of it: its tokens have to stand in "import".');
  }
}

const tries = 6;

/**
 * Sends a line; passing troubles are waited out. A connection is made once however often that is. `text` is undefined for a line that was too
 * long to be kept. Throws what says that no other line has a chance: the broker stays away, or the key is none any more.
 */
export async function sendLine(client: GrantryClient, text: string | undefined, digest: string): Promise<Became> {
  if (text === undefined) return failed('too_long', 'The line is longer than anything that can be imported.');
  const send = read(text);
  if (typeof send !== 'function') return send;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send(client, digest);
    } catch (error) {
      if (isPassing(error) && attempt < tries) {
        await sleep(Math.max(askedMs(error) ?? 0, 250 * 2 ** attempt));
        continue;
      }
      if (error instanceof UsageError) return failed('invalid_line', error.message);
      // A key that has ended would be refused with each line, until nobody from here is heard any more.
      if (!(error instanceof GrantryProblem) || error.code === 'unknown' || error.status === 401) throw error;
      return failed(error.code, sentenceOf(error));
    }
  }
}
