import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { endpoints } from '../../../src/web/api/router.ts';
import { startTestBroker, type TestBroker } from '../../harness/broker.ts';
import { ask } from './ask.ts';
import { bodies } from './samples.ts';

type Schema = Record<string, unknown>;
type Operation = {
  operationId: string;
  'x-scope': string;
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { headers?: Record<string, { schema: Schema }>; content?: Record<string, { schema: Schema }> }>;
};
type Document = { openapi: string; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } };

let broker: TestBroker;
let document: Document;

beforeAll(async () => {
  broker = await startTestBroker();
  document = JSON.parse((await ask(broker.url, { path: '/openapi.json' })).text);
});
afterAll(() => broker.stop());

const operationOf = ({ method, path }: { method: string; path: string }): Operation => {
  const operation = document.paths[path.replace(/:([a-z_]+)/g, '{$1}')]?.[method];
  if (operation === undefined) throw new Error(`${method} ${path} is not in the document`);
  return operation;
};

/** A schema of the document as one that parses: references in place. */
function parser(schema: Schema): z.ZodType {
  const inlined = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inlined);
    if (typeof value !== 'object' || value === null) return value;
    const reference = '$ref' in value && typeof value.$ref === 'string' ? value.$ref.replace('#/components/schemas/', '') : undefined;
    if (reference !== undefined) {
      const found = document.components.schemas[reference];
      if (found === undefined) throw new Error(`${reference} is referred to and not there`);
      return inlined(found);
    }
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inlined(inner)]));
  };
  return z.fromJSONSchema({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    ...Object.fromEntries(Object.entries(Object(inlined(schema)))),
  });
}

test('every call is in the document, once, and nothing else', () => {
  const listed = Object.entries(document.paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`));
  expect(listed.sort()).toEqual(endpoints.map(({ method, path }) => `${method} ${path.replace(/:([a-z_]+)/g, '{$1}')}`).sort());
  const ids = endpoints.map((endpoint) => operationOf(endpoint).operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(document.openapi).toBe('3.1.0');
  expect(JSON.stringify(document)).not.toContain('#/$defs');
});

describe.each(endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const))('%s', (name, endpoint) => {
  test('says who may, what it takes and what it gives', () => {
    const operation = operationOf(endpoint);
    expect(operation['x-scope']).toBe(endpoint.scope);
    for (const parameter of operation.parameters)
      expect([parameter.name, parameter.schema.type ?? parameter.schema.enum]).not.toEqual([parameter.name, undefined]);
    const success = operation.responses[String(endpoint.status)];
    expect(success).toBeDefined();
    expect(success?.content === undefined).toBe(endpoint.status === 204);
    for (const which of ['default', '429']) {
      expect(Object.keys(operation.responses[which]?.content ?? {})).toEqual(['application/problem+json']);
      expect(Object.keys(operation.responses[which]?.headers ?? {})).toEqual([...Object.keys(success?.headers ?? {}), 'Retry-After']);
    }
  });

  test('takes by the document what it takes in truth', () => {
    const schema = operationOf(endpoint).requestBody?.content['application/json']?.schema;
    expect(schema === undefined).toBe(endpoint.body === undefined);
    if (schema === undefined || endpoint.bodyFormat === 'definition') return;
    const sample = bodies[name];
    expect(parser(schema).safeParse(sample).success).toBe(true);
    expect(parser(schema).safeParse({ ...Object(sample), no_such: 1 }).success).toBe(false);
    expect(endpoint.body?.safeParse(sample).success).toBe(true);
  });
});

test('what is counted is said by the headers that the document names, and by no others', async () => {
  const told: string[] = [];
  for (const endpoint of endpoints.filter(({ method, path }) => method === 'get' && !path.includes(':'))) {
    const named = Object.keys(operationOf(endpoint).responses['200']?.headers ?? {});
    const { headers } = await fetch(broker.url + endpoint.path, { headers: { authorization: `Bearer ${broker.broker.rootKey}` } });
    expect([endpoint.path, ...['RateLimit-Policy', 'RateLimit'].filter((name) => headers.has(name))]).toEqual([endpoint.path, ...named]);
    told.push(named.join());
  }
  expect(new Set(told)).toEqual(new Set(['RateLimit-Policy,RateLimit', '']));
  const tokens = operationOf({ method: 'get', path: '/v1/connections/:id/token' });
  expect([tokens.responses['200']?.headers, Object.keys(tokens.responses['429']?.headers ?? {})]).toEqual([{}, ['Retry-After']]);
  // What is no id of ours takes the way of all other calls.
  const counts = async (path: string) =>
    (await fetch(broker.url + path, { headers: { authorization: `Bearer ${broker.broker.rootKey}` } })).headers.has('RateLimit');
  expect([await counts('/v1/connections/none'), await counts('/v1/connections/none/token')]).toEqual([true, false]);
});

test('problems are as the document says', async () => {
  const schema = operationOf({ method: 'get', path: '/v1/providers' }).responses.default?.content?.['application/problem+json']?.schema;
  const told = await ask(broker.url, { path: '/v1/providers?limit=x', key: broker.broker.rootKey });
  expect(parser(schema ?? {}).safeParse(JSON.parse(told.text))).toMatchObject({ success: true });
});

test('lists and single things are as the document says', async () => {
  const { id } = await broker.root.call<{ id: string }>('POST', '/v1/projects', { body: { id: 'p', name: 'P' } });
  for (const [path, asked] of [
    ['/v1/providers', '/v1/providers'],
    ['/v1/providers/:id', '/v1/providers/notion'],
    ['/v1/projects/:id', `/v1/projects/${id}`],
    ['/v1/projects', '/v1/projects'],
    ['/v1/events', '/v1/events'],
  ] as const) {
    const schema = operationOf({ method: 'get', path }).responses['200']?.content?.['application/json']?.schema;
    const answer = JSON.parse((await ask(broker.url, { path: asked, key: broker.broker.rootKey })).text);
    expect([path, parser(schema ?? {}).safeParse(answer)]).toEqual([path, expect.objectContaining({ success: true })]);
  }
});
