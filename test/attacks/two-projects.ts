import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { endpoints } from '../../src/web/api/router.ts';
import { type Ask, ask, json, requestId, type Told } from '../web/api/ask.ts';
import { bodies } from '../web/api/samples.ts';
import type { Stage } from './stage.ts';

/** Two projects, one of which must see nothing of the other, and records in them of every kind that a call names by its id. */

export type Party = {
  project: string;
  /** A key with all scopes. */
  key: string;
  /** Stands in whatever this project makes. */
  marker: string;
  /** A provider and an integration of its own. */
  integration: string;
  provider: string;
  /** Makes a record and says its id. `above`: the ids before it in the path. */
  make(kind: string, above?: readonly string[]): Promise<string>;
  /** A body that this call takes from this project; undefined where it takes none. */
  bodyFor(endpoint: Endpoint, id?: string): Pick<Ask, 'headers' | 'body'>;
};

export const nameOf = ({ method, path }: Endpoint): string => `${method} ${path}`;

/** All that an answer tells but the time. */
export async function told(stage: Stage, asked: Ask): Promise<Told> {
  const { headers, ...answer } = await ask(stage.url, { ...asked, headers: { ...asked.headers, 'x-request-id': requestId } });
  const { date: _, ...others } = headers;
  return { ...answer, headers: others };
}

/** The fields that a query or a body has, all variants together. */
export function fieldNames(schema: Endpoint['query']): string[] {
  if (schema === undefined) return [];
  if ('shape' in schema && typeof schema.shape === 'object') return Object.keys(schema.shape ?? {});
  return 'options' in schema && Array.isArray(schema.options) ? schema.options.flatMap(fieldNames) : [];
}

let absences = 0;

/** An id of the same form that nobody has. */
export function absent(id: string): string {
  absences += 1;
  return id.slice(0, -5) + String(absences).padStart(5, '0');
}

/** The parameters of a path, each with the kind of record that it names: the word before it. */
export const parametersOf = ({ path }: Endpoint): { name: string; kind: string }[] =>
  [...path.matchAll(/([a-z-]+)\/:([a-z]+)/g)].map(([, kind = '', name = '']) => ({ name, kind }));

async function party(stage: Stage, name: string): Promise<Party> {
  const project = stage.fresh(name);
  const marker = `of-${project}-alone`;
  await stage.root.call('POST', '/v1/projects', { body: { id: project, name: marker } });
  const admin = stage.admin(project);
  const { key } = await stage.clientWith(['admin'], project);
  const { authorizationServer: as } = stage.providers;
  const definition = (id: string) => JSON.stringify({ ...JSON.parse(as.definition), id, name: marker });

  const special: Record<string, (above: readonly string[]) => Promise<string>> = {
    async providers() {
      const id = stage.fresh('provider');
      await stage.define(definition(id), project);
      return id;
    },
    async tests([integration = '']) {
      const made = await admin.call<{ id: string }>('POST', `/v1/integrations/${integration}/test`, { body: {} });
      return made.id;
    },
    async versions() {
      return '1';
    },
    async 'webhook-deliveries'() {
      const endpoint = await make('webhook-endpoints');
      await make('connections');
      const { data } = await admin.call<{ data: { id: string }[] }>('GET', '/v1/webhook-deliveries', { query: { endpoint } });
      return data[0]?.id ?? '';
    },
  };

  async function make(kind: string, above: readonly string[] = []): Promise<string> {
    const made = Object.hasOwn(special, kind) ? await special[kind]?.(above) : await makeByRouter(kind);
    if (made) return made;
    throw new Error(`Nothing says how a record of "${kind}" is made: say so in test/attacks/two-projects.ts, or give its POST a sample.`);
  }

  /** By its POST, or the first one that is listed. */
  async function makeByRouter(kind: string): Promise<string | undefined> {
    const post = endpoints.find((endpoint) => nameOf(endpoint) === `post /v1/${kind}`);
    const key = post?.scope === 'root' ? stage.broker.rootKey : self.key;
    if (post !== undefined) {
      const answer = await ask(stage.url, { method: 'POST', path: post.path, key, ...self.bodyFor(post) });
      const { id } = JSON.parse(answer.text);
      if (typeof id !== 'string') throw new Error(`No ${kind} were made: ${answer.text}`);
      return id;
    }
    const list = endpoints.find((endpoint) => nameOf(endpoint) === `get /v1/${kind}`);
    return list && JSON.parse((await ask(stage.url, { path: list.path, key })).text).data?.[0]?.id;
  }

  const self: Party = {
    project,
    key,
    marker,
    integration: '',
    provider: '',
    make,
    bodyFor(endpoint, id = stage.fresh('made')) {
      if (endpoint.bodyFormat === 'definition') return { headers: { 'content-type': 'application/json' }, body: definition(id) };
      const sample = bodies[nameOf(endpoint)];
      if (typeof sample !== 'object' || sample === null) return {};
      const own = {
        id,
        integration: self.integration,
        provider: self.provider,
        name: marker,
        description: marker,
        end_user: { id: `${marker}-user`, display_name: marker },
        metadata: { note: marker },
        // Nobody listens there.
        url: 'http://127.0.0.1:9/',
        issuer: 'http://127.0.0.1:9',
      };
      const fitting = Object.entries(own).filter(([field]) => Object.hasOwn(sample, field));
      return json({ ...sample, ...Object.fromEntries(fitting) });
    },
  };
  self.provider = await make('providers');
  self.integration = stage.fresh('integration');
  await stage.integrate(as, { id: self.integration, provider: self.provider }, project);
  return self;
}

/** `limited`: has a key in the owner's project that is for another end user. */
export type Parties = { owner: Party; stranger: Party; limited: Party };

/** New ones: nothing that an attack has left behind is in them. */
export async function freshProjects(stage: Stage): Promise<Parties> {
  const [owner, stranger] = await Promise.all([party(stage, 'owner'), party(stage, 'stranger')]);
  const body = { name: 'limited', scopes: ['connect', 'tokens'], limits: { end_user: 'another' } };
  const { key } = await stage.admin(owner.project).call<{ key: string }>('POST', '/v1/api-keys', { body });
  return { owner, stranger, limited: { ...owner, key } };
}

const known = new WeakMap<Stage, Promise<Parties>>();

/** The same for all attacks on a stage. */
export function twoProjects(stage: Stage): Promise<Parties> {
  const made = known.get(stage) ?? freshProjects(stage);
  known.set(stage, made);
  return made;
}

/** A digest of every row of a project but those that say what has happened, which are added when others look. */
export async function rowsOf(stage: Stage, project: string): Promise<string> {
  const tables = await stage.sql<{ name: string }>(
    `select table_name as name from information_schema.columns where table_schema = 'public' and column_name = 'project_id' and table_name not like 'audit%' order by 1`,
  );
  const each = tables.map(({ name }) => `select '${name}' as name, to_jsonb(t) - 'last_used_at' as row from "${name}" t where project_id = $1`);
  const [digest] = await stage.sql<{ digest: string }>(
    `select md5(string_agg(name || row::text, '' order by name, row::text)) as digest from (${each.join(' union all ')}
      union all select 'projects', to_jsonb(p) from projects p where id = $1) r`,
    [project],
  );
  return digest?.digest ?? '';
}
