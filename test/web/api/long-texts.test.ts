import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { Endpoint } from '../../../src/web/api/endpoint.ts';
import { endpoints } from '../../../src/web/api/router.ts';
import { startTestBroker, type TestBroker } from '../../harness/broker.ts';
import { type Ask, ask, json, refusalOf, type Told } from './ask.ts';
import { bodies } from './samples.ts';

/** Long texts in every field of every call, found by the schemas that parse them: each is refused, in a short answer that repeats nothing of it. */

type Json = { readonly [name: string]: unknown };
type Path = readonly (string | number)[];
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Where a schema lets a text stand; `key`: as the name of a member. */
type Place = { path: Path; key: boolean };

function placesIn(schema: unknown, all: Json, path: Path = []): Place[] {
  if (!isObject(schema) || path.length > 8) return [];
  if (typeof schema.$ref === 'string') return placesIn(list([all[schema.$ref.replace('#/$defs/', '')]])[0], all, path);
  const variants = [...list(schema.anyOf), ...list(schema.oneOf), ...list(schema.allOf)].flatMap((each) => placesIn(each, all, path));
  const members = isObject(schema.properties) ? Object.entries(schema.properties).flatMap(([name, of]) => placesIn(of, all, [...path, name])) : [];
  const named = isObject(schema.additionalProperties) ? [{ path, key: true }, ...placesIn(schema.additionalProperties, all, [...path, 'x'])] : [];
  const items = placesIn(schema.items, all, [...path, 0]);
  return [...(schema.type === 'string' ? [{ path, key: false }] : []), ...variants, ...members, ...named, ...items];
}

function placesOf(schema: Endpoint['body']): Place[] {
  if (schema === undefined) return [];
  const { $defs, ...whole } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const places = placesIn(whole, $defs ?? {});
  return [...new Map(places.map((place) => [JSON.stringify(place), place])).values()];
}

function withAt(value: unknown, [step, ...rest]: Path, put: unknown): unknown {
  if (step === undefined) return put;
  if (typeof step === 'number') return [withAt(list(value)[0], rest, put)];
  const object = isObject(value) ? value : {};
  return { ...object, [step]: withAt(object[step], rest, put) };
}

const textIn = (value: unknown, { path, key }: Place, text: string) => withAt(value, path, key ? { [text]: 'x' } : text);

let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker?.stop());

const pathOf = ({ path }: Endpoint) => path.replaceAll(/:[a-z]+/g, 'none');
const nameOf = ({ method, path }: Endpoint) => `${method} ${path}`;
const send = (asked: Ask): Promise<Told | string> =>
  // Who is cut off while she still sends may see a reset instead of the answer.
  ask(broker.url, { ...asked, key: broker.broker.rootKey }).catch((error: NodeJS.ErrnoException) => String(error.code));

const signs = ['a', '\u00e9', '"', '\\', '{', '/', '%', ' '] as const;
/** What is signed is of any length that a body may have. */
const free = new Set(['post /v1/connections/:id/sign ["form","x"]']);
const refusedAs = (told: Told | string, statuses: readonly number[], sign = 'a') => {
  if (typeof told === 'string') return statuses.includes(413) && ['ECONNRESET', 'EPIPE'].includes(told);
  return statuses.includes(refusalOf(told).status) && told.text.length < 5_000 && !told.text.includes(sign.repeat(1_000));
};

const withBody = endpoints.filter(({ body, bodyFormat }) => body !== undefined && bodyFormat !== 'definition');

test.each(withBody.map((endpoint) => ({ name: nameOf(endpoint), endpoint })))('$name: long texts in each field of the body', async ({ endpoint }) => {
  const places = placesOf(endpoint.body).filter(({ path }) => !free.has(`${nameOf(endpoint)} ${JSON.stringify(path)}`));
  const taken: unknown[] = [];
  for (const [index, place] of places.entries()) {
    const sign = signs[index % signs.length] ?? 'a';
    for (const [count, statuses] of [
      [20_000, [400, 422]],
      [100_000, [413]],
    ] as const) {
      const body = textIn(bodies[nameOf(endpoint)] ?? {}, place, sign.repeat(count));
      const told = await send({ method: endpoint.method.toUpperCase(), path: pathOf(endpoint), ...json(body) });
      if (!refusedAs(told, statuses, sign))
        taken.push([place, count, sign, typeof told === 'string' ? told : [told.status, told.text.slice(0, 200)]]);
    }
  }
  expect(taken).toEqual([]);
});

test('long texts in each parameter of each query', async () => {
  const taken: unknown[] = [];
  let tried = 0;
  for (const endpoint of endpoints) {
    for (const { path } of placesOf(endpoint.query)) {
      tried += 1;
      for (const [count, statuses] of [
        [7_000, [400]],
        [12_000, [414]],
      ] as const) {
        const told = await send({ method: endpoint.method.toUpperCase(), path: `${pathOf(endpoint)}?${path.join('.')}=${'a'.repeat(count)}` });
        if (!refusedAs(told, statuses)) taken.push([nameOf(endpoint), path, count, typeof told === 'string' ? told : told.status]);
      }
    }
  }
  expect(tried).toBeGreaterThan(20);
  expect(taken).toEqual([]);
});

test('long names and texts in a definition', async () => {
  const long = 'a'.repeat(20_000);
  const method = { grant: 'client_credentials', token_endpoint: 'https://acme.com/token' };
  const whole = { id: 'long', name: 'Long', methods: { app: method } };
  const odd = [
    { ...whole, name: long },
    { ...whole, [long]: 1 },
    { ...whole, methods: { [long]: method } },
    { ...whole, methods: { app: { ...method, [long]: 1 } } },
    { ...whole, methods: { app: { ...method, grant: long } } },
    { ...whole, methods: { app: { ...method, token_endpoint: `https://acme.com/${long}` } } },
    { ...whole, methods: { app: { ...method, token_endpoint: `https://acme.com/{${long}}` } } },
    { ...whole, inputs: { [long]: { label: 'L' } } },
    { ...whole, inputs: { a: { label: 'L', pattern: long } } },
    { ...whole, inputs: { a: { label: 'L', [long]: 1 } } },
  ];
  const taken: unknown[] = [];
  for (const [index, body] of odd.entries()) {
    const told = await send({ method: 'PUT', path: '/v1/providers/long', ...json(body) });
    if (!refusedAs(told, [400, 422])) taken.push([index, typeof told === 'string' ? told : [told.status, told.text.length, told.text.slice(0, 300)]]);
  }
  expect(taken).toEqual([]);
});

test('five thousand fields that there are not: two hundred are named', async () => {
  const body = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`f${n}`, 1]));
  const told = await send({ method: 'POST', path: '/v1/connect-links', ...json(body) });
  expect(typeof told === 'string' ? told : refusalOf(told).pointers.length).toBe(200);
});

test('the fields are found: those that are nested, in lists, and names of members', () => {
  const schema = z.strictObject({ a: z.string(), b: z.array(z.string()), c: z.record(z.string(), z.strictObject({ d: z.string().optional() })) });
  expect(placesOf(schema)).toEqual([
    { path: ['a'], key: false },
    { path: ['b', 0], key: false },
    { path: ['c'], key: true },
    { path: ['c', 'x', 'd'], key: false },
  ]);
  expect(withBody.flatMap(({ body }) => placesOf(body)).length).toBeGreaterThan(40);
});
