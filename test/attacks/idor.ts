import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { endpoints } from '../../src/web/api/router.ts';
import { type Ask, ask, json } from '../web/api/ask.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';
import { absent, fieldNames, freshProjects, nameOf, type Party, parametersOf, rowsOf, told, twoProjects } from './two-projects.ts';

/**
 * Insecure direct object references: whoever has a key of one project and ids of another. The answers must be the same, byte by byte, as for
 * what was never there. All of it is made from the router: a new call is covered as it is added.
 */

const ofProjects = endpoints.filter(({ scope }) => scope !== 'root');
const withIds = ofProjects.filter(({ path }) => path.includes(':'));
const malformed = ['*', "' or 1=1--", '../..', '%00', '\u00e9'.repeat(50), '__proto__'];

/** Which of the ids in a path are another project's: all, or, below a record of one's own, the rest. */
function waysOf(endpoint: Endpoint): boolean[][] {
  const parameters = parametersOf(endpoint).filter(({ kind }) => kind !== 'versions');
  return parameters.map((_, own) => parameters.map((_, place) => place >= own));
}

function pathOf(endpoint: Endpoint, ids: readonly string[]): string {
  const named = parametersOf(endpoint).map(({ name }, place): [string, string] => [`:${name}`, encodeURIComponent(ids[place] ?? '1')]);
  return named.reduce<string>((path, [name, id]) => path.replace(name, id), endpoint.path);
}

function askFor(endpoint: Endpoint, ids: readonly string[], by: Party): Ask {
  return { method: endpoint.method.toUpperCase(), path: pathOf(endpoint, ids), key: by.key, ...by.bodyFor(endpoint, ids[0]) };
}

/** Ids and times are what one answer has to itself. */
function plain(text: string, ids: readonly string[]): string {
  const withoutIds = ids.reduce((rest, id) => rest.replaceAll(id, 'ID'), text);
  return withoutIds.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z|(?:whsec_|grt_)[\w+/=-]+|[a-z]{3}_[0-9a-z]{26}(?:_[0-9a-z]+)?|[\w-]{43}/g, '~');
}

type By = 'stranger' | 'limited';
type Row = { row: string; falls: Attack['falls'] };

/** These find key and connection in one statement, on connections to which all projects are shown. */
const onTokenPath = new Set(['get /v1/connections/:id/token', 'post /v1/connections/:id/sign', 'post /v1/connections/:id/probe']);
const ofProject = ['rows of the project', 'rows that Postgres shows'] as const;

function rowOf(endpoint: Endpoint, way: readonly boolean[], by: By): Row {
  if (by === 'limited') return { row: 'key limits: ids of what another end user has in the path of each call', falls: [['reach of the key']] };
  if (!way.every(Boolean))
    return { row: 'IDOR: an id of another project in the path of each call, beside own ones', falls: [[...ofProject, 'record within the record']] };
  if (onTokenPath.has(nameOf(endpoint))) return { row: 'IDOR: ids of another project in the path of each call for a token', falls: [[ofProject[0]]] };
  return { row: 'IDOR: ids of another project in the path of each call', falls: [ofProject] };
}

const byId = (endpoint: Endpoint, way: readonly boolean[], by: By): Attack => {
  const kinds = parametersOf(endpoint).filter(({ kind }) => kind !== 'versions');
  const foreign = kinds.filter((_, place) => way[place]).map(({ name }) => `:${name}`);
  return {
    ...rowOf(endpoint, way, by),
    name: `${by === 'stranger' ? 'IDOR' : 'key limits'}: ${nameOf(endpoint)}${kinds.length > 1 ? `, ${foreign.join(' and ')} of another project` : ''}`,
    async run(stage) {
      const { owner, [by]: stranger } = await twoProjects(stage);
      const make = async (party: (place: number) => Party) => {
        const ids: string[] = [];
        for (const [place, { kind }] of kinds.entries()) ids.push(await party(place).make(kind, ids));
        return ids;
      };
      const theirs = await make(() => owner);
      const own = way.every(Boolean) ? [] : await make(() => stranger);
      const ids = way.map((isForeign, place) => (isForeign ? theirs[place] : own[place]) ?? '');
      const missing = way.map((isForeign, place) => (isForeign ? absent(theirs[place] ?? '') : (own[place] ?? '')));
      const before = await rowsOf(stage, owner.project);
      const header = { 'grantry-project': owner.project };
      const answerTo = async (asked: readonly string[]) => {
        const { headers, ...request } = askFor(endpoint, asked, stranger);
        const { text, ...answer } = await told(stage, { ...request, headers: { ...headers, ...header } });
        return { ...answer, text: plain(text, asked) };
      };
      const [theirAnswer, noAnswer] = [await answerTo(ids), await answerTo(missing)];
      if (JSON.stringify(theirAnswer) !== JSON.stringify(noAnswer))
        return succeeded(`${theirAnswer.status}, and ${noAnswer.status} for a missing one`);
      if ((await rowsOf(stage, owner.project)) !== before) return succeeded('rows of the owner changed');
      if (endpoint.method === 'put') return stopped(`${theirAnswer.status} either way, and a record of its own`);
      const odd = malformed.map((id) => answerTo(way.map((isForeign, place) => (isForeign ? id : (own[place] ?? '')))));
      for (const { status, text } of await Promise.all(odd))
        if (status !== noAnswer.status || text !== noAnswer.text)
          return succeeded(`${status} for a malformed id, and ${noAnswer.status} for a missing one`);
      const ownAnswer = await ask(stage.url, askFor(endpoint, theirs, owner));
      if (noAnswer.status !== 404 || ownAnswer.status === 404) throw new Error(`${nameOf(endpoint)} is not tried: its owner has ${ownAnswer.text}`);
      return stopped(`404 either way, ${ownAnswer.status} for the owner`);
    },
  };
};

/** What the schema refuses reaches no statement. */
const takes = (schema: Endpoint['query'], value: unknown): boolean => schema?.safeParse(value).success === true;

/** Fields of a query or a body in which an id can stand. */
function fieldsOf(endpoint: Endpoint, by: Party, id: string): { field: string; request(value: string): Ask }[] {
  const base = { method: endpoint.method.toUpperCase(), path: endpoint.path, key: by.key };
  const queried = fieldNames(endpoint.query).filter((field) => takes(endpoint.query, { [field]: id }));
  const asked = queried.map((field) => ({
    field,
    request: (value: string): Ask => ({ ...base, path: `${endpoint.path}?${field}=${encodeURIComponent(value)}` }),
  }));
  if (endpoint.body === undefined || endpoint.bodyFormat === 'definition') return asked;
  const bodyWith = (field: string, value: string) => ({ ...JSON.parse(String(by.bodyFor(endpoint).body)), [field]: value });
  const fields = new Set([...fieldNames(endpoint.body), ...Object.keys(bodyWith('id', id))]);
  const written = [...fields]
    .filter((field) => takes(endpoint.body, bodyWith(field, id)))
    .map((field) => ({ field, request: (value: string): Ask => ({ ...base, ...json(bodyWith(field, value)) }) }));
  return [...asked, ...written];
}

/** Every place that says something of the other project but the ids that were sent. */
async function leaksOf(stage: Stage): Promise<string[]> {
  const { owner, stranger } = await freshProjects(stage);
  const kinds = [...new Set(withIds.flatMap(parametersOf).map(({ kind }) => kind))].filter((kind) => kind !== 'versions' && kind !== 'tests');
  const ids = [...(await Promise.all(kinds.map((kind) => owner.make(kind)))), owner.project];
  const before = await rowsOf(stage, owner.project);
  const leaks: string[] = [];

  async function compare(endpoint: Endpoint, { field, request }: ReturnType<typeof fieldsOf>[number]): Promise<void> {
    const answerTo = async (id: string) => {
      const { status, text } = await told(stage, request(id));
      // What was made is not the same twice.
      const compared = status < 300 && endpoint.method !== 'get' ? '' : plain(text, [id]);
      return { status, text, compared };
    };
    const missing = new Map<number, ReturnType<typeof answerTo>>();
    for (const id of ids) {
      // For some fields it matters how long a text is.
      const none = await (missing.get(id.length) ?? answerTo(absent(id)));
      missing.set(id.length, Promise.resolve(none));
      const theirs = await answerTo(id);
      if (theirs.status !== none.status || theirs.compared !== none.compared || theirs.text.includes(owner.marker))
        leaks.push(`${nameOf(endpoint)}, ${field}: ${theirs.status} ${theirs.text}`);
    }
  }

  const withoutIds = ofProjects.filter(({ path }) => !path.includes(':'));
  // Ids that the stranger chooses for records of his own come last: from then on they are not the owner's alone.
  for (const chooses of [false, true]) {
    for (const endpoint of withoutIds) {
      const { text } = await ask(stage.url, { path: endpoint.path, key: stranger.key, headers: { 'grantry-project': owner.project } });
      if (text.includes(owner.marker)) leaks.push(nameOf(endpoint));
      const fields = fieldsOf(endpoint, stranger, ids[0] ?? '').filter(({ field }) => (field === 'id') === chooses);
      await Promise.all(fields.map((field) => compare(endpoint, field)));
      if (leaks.length > 0) return leaks;
    }
  }
  return (await rowsOf(stage, owner.project)) === before ? [] : ['rows that changed'];
}

const reached = ofProjects.filter(({ reach }) => reach !== undefined);

export const idor: Attack[] = [
  ...withIds.flatMap((endpoint) => waysOf(endpoint).map((way) => byId(endpoint, way, 'stranger'))),
  ...reached.filter(({ path }) => path.includes(':')).map((endpoint) => byId(endpoint, [true], 'limited')),
  {
    name: 'key limits: what is listed, and what is made for another end user',
    falls: [['reach of the key']],
    async run(stage) {
      const { owner, limited } = await twoProjects(stage);
      await owner.make('connections');
      const through: string[] = [];
      for (const endpoint of reached.filter(({ path }) => !path.includes(':'))) {
        const { status, text } = await ask(stage.url, askFor(endpoint, [], limited));
        if (endpoint.method === 'get' ? text.includes(owner.marker) : status !== 403) through.push(`${nameOf(endpoint)}: ${status}`);
      }
      return through.length > 0 ? succeeded(through.join(', ')) : stopped('nothing of hers is listed, nothing is made for her');
    },
  },
  {
    name: 'IDOR: what is listed, and ids of another project in each field of each query and body',
    falls: [ofProject],
    async run(stage) {
      const leaks = await leaksOf(stage);
      return leaks.length > 0 ? succeeded(leaks.join(', ')) : stopped('every answer is that for a missing one');
    },
  },
];
