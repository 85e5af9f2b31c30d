import { setTimeout as sleep } from 'node:timers/promises';
import { definitionSchema } from '../../src/protocol/definition/schema.ts';
import { privateUrls } from '../protocol/private-hosts.ts';
import { type Attack, stopped, succeeded, type Verdict } from './attack.ts';
import { freshConnection } from './queue-poisoning.ts';
import type { Stage } from './stage.ts';
import { loopback, nowhere, type Records } from './strict.ts';
import { type UrlField, urlFields } from './url-fields.ts';

/** Whoever may write a definition, or own a name, would have the broker call addresses of the inside. */

/** Has the broker fetch from this host, at the port of the canary. */
async function fetchFrom({ strict }: Stage, host: string): Promise<Verdict> {
  const before = strict.reached();
  const issuer = `https://${host}:${strict.port}`;
  const refusal = await strict.broker.root.call('POST', '/v1/providers/discover', { body: { issuer } }).then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
  const hits = strict.reached() - before;
  return hits > 0 ? succeeded(`${hits} connections to the inside`) : stopped(`refused: ${refusal}`);
}

const byName = (name: string, falls: Attack['falls'], records: Records, then?: Records): Attack => ({
  name: `SSRF at fetch time: ${name}`,
  falls,
  async run(stage) {
    const host = `${stage.fresh('name')}.evil.com`;
    stage.strict.name(host, records, then);
    return fetchFrom(stage, host);
  },
});

const arrived = (hits: number): Verdict => (hits > 0 ? succeeded(`${hits} connections to the inside`) : stopped('nothing arrived there'));

/** An event is sent to a webhook of this URL, which afterwards may be written over in its row. */
const webhookTo = (what: string, falls: Attack['falls'], to: (stage: Stage) => Promise<{ url: string; written?: string }>): Attack => ({
  name: `SSRF by a webhook: ${what}`,
  falls,
  async run(stage) {
    const { strict } = stage;
    const { root, sql } = strict.broker;
    const { url, written } = await to(stage);
    const body = { url, event_types: ['connection.created'] };
    const endpoint = await root.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body });
    if (written !== undefined) await sql('update webhook_endpoints set url = $2 where id = $1', [endpoint.id, written]);
    const before = strict.reached();
    await freshConnection(stage);
    for (let patience = 200; patience > 0; patience -= 1) {
      const [tried] = await sql(
        'select 1 from webhook_deliveries where endpoint_id = $1 and last_attempt_at is not null and last_error is not null',
        [endpoint.id],
      );
      if (tried !== undefined) break;
      if (patience === 1) throw new Error('The webhook was not tried.');
      await sleep(50);
    }
    await root.call('DELETE', `/v1/webhook-endpoints/${endpoint.id}`);
    return arrived(strict.reached() - before);
  },
});

type Json = { [name: string]: unknown };
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

function withUrl(value: unknown, [name, ...rest]: readonly string[], url: string): unknown {
  if (name === undefined) return url;
  const object = isObject(value) ? value : {};
  return { ...object, [name]: withUrl(object[name], rest, url) };
}

const at = (value: unknown, path: readonly string[]): unknown => path.reduce((inner, name) => (isObject(inner) ? inner[name] : undefined), value);

/** The same definition with this URL in the field, once for each of its methods that may have it; those that have one there come first. */
function variants(definition: unknown, { path, grant }: UrlField, url: string): { held: boolean; changed: unknown }[] {
  const star = path.indexOf('*');
  const methods = star === -1 ? [''] : Object.keys(at(definition, path.slice(0, star)) ?? {});
  return methods.flatMap((method) => {
    const full = path.map((name) => (name === '*' ? method : name));
    const isOther = grant !== undefined && at(definition, ['methods', method, 'grant']) !== grant;
    if (isOther || !isObject(at(definition, full.slice(0, -1)) ?? {})) return [];
    return [{ held: at(definition, full) !== undefined, changed: withUrl(definition, full, url) }];
  });
}

/** Of all fields that the schema says are URLs: those that take this one. Each takes a public one in some shipped definition. */
async function fieldsThatTake({ strict, fresh }: Stage, url: string): Promise<string[]> {
  const id = fresh('fields');
  const takes = (definition: unknown) =>
    strict.broker.root.call('PUT', `/v1/providers/${id}`, { body: JSON.stringify({ ...(isObject(definition) && definition), id }) }).then(
      () => true,
      () => false,
    );
  const definitions = [...strict.broker.broker.world.shipped.values()];
  const taken: string[] = [];
  const untried: string[] = [];
  for (const field of urlFields(definitionSchema)) {
    const all = definitions.flatMap((definition) =>
      variants(definition, field, 'https://login.acme.com/x').map((open, n) => ({ ...open, closed: variants(definition, field, url)[n]?.changed })),
    );
    const name = [field.grant, ...field.path].filter(Boolean).join('/');
    let closed: unknown;
    for (const each of all.sort((one, other) => Number(other.held) - Number(one.held)).slice(0, 40)) {
      if (!(await takes(each.changed))) continue;
      closed = each.closed;
      break;
    }
    if (closed === undefined) untried.push(name);
    else if (await takes(closed)) taken.push(name);
  }
  await strict.broker.root.call('DELETE', `/v1/providers/${id}`);
  if (untried.length > 0) throw new Error(`No shipped definition takes a URL in ${untried.join(', ')}: try them in another way.`);
  return taken;
}

export const ssrf: Attack[] = [
  {
    name: `SSRF at definition time: ${privateUrls.length} spellings of addresses of the inside`,
    falls: [['public hosts only']],
    async run({ strict, fresh }) {
      const taken: string[] = [];
      for (const url of privateUrls) {
        const id = fresh('inside');
        const methods = { app: { grant: 'client_credentials', token_endpoint: url } };
        await strict.broker.root.call('PUT', `/v1/providers/${id}`, { body: { id, name: 'Inside', methods } }).then(
          () => taken.push(url),
          () => {},
        );
      }
      return taken.length > 0 ? succeeded(`${taken.length} were taken`) : stopped('none was taken');
    },
  },
  {
    name: 'SSRF at fetch time: an address itself',
    falls: [['public hosts only', 'address of the host']],
    run: (stage) => fetchFrom(stage, '127.0.0.1'),
  },
  {
    name: 'SSRF at definition time: each field that the schema of definitions says is a URL',
    falls: [['public hosts only']],
    async run(stage) {
      const taken = await fieldsThatTake(stage, 'https://169.254.169.254/latest');
      return taken.length > 0 ? succeeded(`taken in ${taken.join(', ')}`) : stopped('taken in none');
    },
  },
  {
    name: 'SSRF at fetch time: an address that was written into the row of a definition',
    falls: [['public hosts only', 'address of the host']],
    async run({ strict, fresh }) {
      const id = fresh('edited');
      const { root, sql } = strict.broker;
      const methods = { app: { grant: 'client_credentials', token_endpoint: `https://${id}.evil.com/token` } };
      await root.call('PUT', `/v1/providers/${id}`, { body: { id, name: 'Edited', methods } });
      const edit = `update provider_versions set definition = replace(definition::text, $2, $3)::json where provider_id = $1`;
      await sql(edit, [id, `${id}.evil.com`, `127.0.0.1:${strict.port}`]);
      const before = strict.reached();
      await root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', client_secret: 'secret' } }).catch(() => {});
      const body = { integration: id, end_user: { id: 'u1' }, grant: 'client_credentials' };
      await root.call('POST', '/v1/connections', { body }).catch(() => {});
      await sql('delete from provider_versions where provider_id = $1', [id]);
      return arrived(strict.reached() - before);
    },
  },
  webhookTo('a name for an address of the inside', [['addresses of the name']], async ({ strict, fresh }) => {
    const host = `${fresh('hook')}.evil.com`;
    strict.name(host, loopback);
    return { url: `https://${host}:${strict.port}/` };
  }),
  webhookTo('an address that was written into its row', [['public hosts only', 'address of the host']], async ({ strict, fresh }) => ({
    url: `https://${fresh('hook')}.evil.com/`,
    written: `https://127.0.0.1:${strict.port}/`,
  })),
  byName('a name for an address of the inside', [['addresses of the name']], loopback),
  byName('a name for a public address and one of the inside', [['addresses of the name']], { ...loopback, ...nowhere }),
  byName('a name that is public when it is checked and inside when it is called', [['checked is called']], nowhere, loopback),
  {
    name: 'SSRF by redirect: discovery is sent on to an address of the inside',
    falls: [['no redirects followed']],
    async run(stage) {
      const target = stage.fresh('/inside');
      stage.serve(target, { body: '{}' });
      for (const status of [301, 302, 303, 307, 308]) {
        const answer = { status, headers: { location: `${stage.evil.url}${target}` } };
        for (const name of ['oauth-authorization-server', 'openid-configuration']) stage.serve(`/.well-known/${name}`, answer);
        await stage.root.call('POST', '/v1/providers/discover', { body: { issuer: stage.evil.url } }).catch(() => {});
      }
      return stage.hits(target) > 0 ? succeeded(`${stage.hits(target)} requests arrived there`) : stopped('nothing arrived there');
    },
  },
];
