import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { endpoints } from '../../src/web/api/router.ts';
import { apiKeyBody } from '../../src/web/api/schemas.ts';
import { ask } from '../web/api/ask.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';
import { nameOf, twoProjects } from './two-projects.ts';

/** Each call with each key that may not make it; the calls come from the router. */

const scopes = apiKeyBody.shape.scopes.element.options;

/** Calls that were answered otherwise than with this status. */
async function passed(stage: Stage, calls: readonly { endpoint: Endpoint; key: string | undefined }[], refusal: 401 | 403): Promise<string[]> {
  const { stranger } = await twoProjects(stage);
  const answers = calls.map(async ({ endpoint, key }) => {
    const path = endpoint.path.replace(/:[a-z]+/g, 'missing');
    const { status } = await ask(stage.url, { method: endpoint.method, path, ...stranger.bodyFor(endpoint), ...(key !== undefined && { key }) });
    return status === refusal ? [] : [`${nameOf(endpoint)}: ${status}`];
  });
  return (await Promise.all(answers)).flat();
}

const verdict = (through: readonly string[], count: number) =>
  through.length > 0 ? succeeded(`${through.length} of ${count} calls: ${through.slice(0, 3).join(', ')}`) : stopped(`${count} calls refused`);

/** Each call with a key of each scope that it does not name. */
async function withoutScope(stage: Stage, which: (endpoint: Endpoint) => boolean) {
  const { stranger } = await twoProjects(stage);
  const keys = await Promise.all(scopes.map(async (scope) => ({ scope, ...(await stage.clientWith([scope], stranger.project)) })));
  const calls = endpoints
    .filter(which)
    .flatMap((endpoint) =>
      keys.filter(({ scope }) => endpoint.scope === 'root' || (scope !== 'admin' && scope !== endpoint.scope)).map(({ key }) => ({ endpoint, key })),
    );
  return verdict(await passed(stage, calls, 403), calls.length);
}

export const keyScopes: Attack[] = [
  {
    name: 'key scopes: each call with a key of each other scope',
    falls: [['scope of the key']],
    run: (stage) => withoutScope(stage, ({ scope }) => scope !== 'root' && scope !== 'any'),
  },
  {
    name: 'key scopes: what is for the root key, with keys of a project',
    falls: [['root key only']],
    run: (stage) => withoutScope(stage, ({ scope }) => scope === 'root'),
  },
  {
    name: 'key scopes: each call without a key, with one that never was, and with one that has ended',
    falls: [['keys end']],
    async run(stage) {
      const ended = await stage.clientWith(['admin']);
      await stage.sql(`update api_keys set expires_at = now() - interval '1 second' where key_hash = sha256($1)`, [Buffer.from(ended.key)]);
      const keys = [undefined, `grt_${'0'.repeat(26)}_${'A'.repeat(43)}`, 'grt_x', `${ended.key.slice(0, -1)}~`, ended.key];
      const calls = endpoints.flatMap((endpoint) => keys.map((key) => ({ endpoint, key })));
      return verdict(await passed(stage, calls, 401), calls.length);
    },
  },
];
