import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/web/api/endpoint.ts';
import { endpoints } from '../../../src/web/api/router.ts';
import { startTestBroker, type TestBroker } from '../../harness/broker.ts';
import { type Ask, ask, json, refusalOf, requestId } from './ask.ts';
import { bodies } from './samples.ts';

let broker: TestBroker;
const keys: Record<string, string> = {};

beforeAll(async () => {
  broker = await startTestBroker();
  for (const scope of ['connect', 'tokens', 'admin']) keys[scope] = (await broker.clientWith([scope])).key;
  const expired = await broker.clientWith(['admin']);
  await broker.sql(`update api_keys set expires_at = now() - interval '1 second' where key_hash = sha256($1)`, [Buffer.from(expired.key)]);
  const deleted = await broker.clientWith(['admin']);
  const listed = await broker.root.call<{ data: { id: string }[] }>('GET', '/v1/api-keys');
  await broker.root.call('DELETE', `/v1/api-keys/${listed.data[0]?.id}`);
  Object.assign(keys, { expired: expired.key, deleted: deleted.key });
});
afterAll(() => broker.stop());

const nameOf = ({ method, path }: Endpoint) => `${method} ${path}`;
const all = endpoints.map((endpoint): [string, Endpoint] => [nameOf(endpoint), endpoint]);
const withJson = all.filter(([, { body, bodyFormat }]) => body !== undefined && bodyFormat !== 'definition');
const withDefinition = all.filter(([, { bodyFormat }]) => bodyFormat === 'definition');

/** A request that is right for this call but for the ids in it. */
function requestFor(endpoint: Endpoint): Ask {
  const body = bodies[nameOf(endpoint)];
  const content = endpoint.bodyFormat === 'definition' ? json({ id: 'x' }) : body === undefined ? {} : json(body);
  return { method: endpoint.method.toUpperCase(), path: endpoint.path.replace(':id', 'con_missing'), key: broker.broker.rootKey, ...content };
}
const refused = async (endpoint: Endpoint, change: Partial<Ask> & { without?: 'key' }) => {
  const { without, ...rest } = change;
  const asked = { ...requestFor(endpoint), ...rest };
  if (without === 'key') delete asked.key;
  return refusalOf(await ask(broker.url, { ...asked, headers: { ...asked.headers, 'x-request-id': requestId } }));
};

test('there is a sample for each call with a body', () => {
  expect(withJson.map(([name]) => name).sort()).toEqual(Object.keys(bodies).sort());
});

describe.each(all)('%s', (_, endpoint) => {
  test('is refused to those who show no key, or one that never was, has ended, or may not', async () => {
    const unauthorized = { status: 401, code: 'unauthorized' };
    expect(await refused(endpoint, { without: 'key' })).toMatchObject(unauthorized);
    for (const header of [
      'Bearer',
      'Bearer ',
      'Basic dXNlcjpwYXNz',
      `Token ${keys.admin}`,
      'Bearer a b',
      `Bearer ${'x'.repeat(700)}`,
      'Bearer \u00e9',
    ]) {
      const wrong = await refused(endpoint, { without: 'key', headers: { ...requestFor(endpoint).headers, authorization: header } });
      expect(wrong).toMatchObject(unauthorized);
    }
    const unknown = `grt_${'0'.repeat(26)}_${'A'.repeat(43)}`;
    for (const key of [unknown, 'grt_short', keys.expired ?? '', keys.deleted ?? '', `${broker.broker.rootKey}x`]) {
      expect(await refused(endpoint, { key })).toMatchObject(unauthorized);
    }
    const challenge = await ask(broker.url, { ...requestFor(endpoint), key: unknown });
    expect(challenge.headers['www-authenticate']).toBe('Bearer realm="grantry"');
    const lacking = { connect: 'tokens', tokens: 'connect', admin: 'connect', root: 'admin' }[endpoint.scope === 'any' ? 'root' : endpoint.scope];
    if (endpoint.scope !== 'any') expect(await refused(endpoint, { key: keys[lacking] ?? '' })).toMatchObject({ status: 403, code: 'forbidden' });
  });

  test('answers only to the methods that it has', async () => {
    const { path } = requestFor(endpoint);
    const answersTo = (pattern: string) => new RegExp(`^${pattern.replace(/:[a-z]+/g, '[^/]+')}$`).test(path);
    const known = endpoints.filter((other) => answersTo(other.path)).map(({ method }) => method.toUpperCase());
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'].filter((verb) => !known.includes(verb))) {
      const answer = await ask(broker.url, { method, path, key: broker.broker.rootKey });
      expect(refusalOf(answer)).toMatchObject({ status: 405, code: 'method_not_allowed' });
      expect(answer.headers.allow).toContain(endpoint.method.toUpperCase());
    }
  });

  test('refuses query parameters that it does not have, and those given twice', async () => {
    const { path } = requestFor(endpoint);
    expect(await refused(endpoint, { path: `${path}?no_such=1` })).toMatchObject({ status: 400, code: 'invalid_request', pointers: ['/no_such'] });
    expect(await refused(endpoint, { path: `${path}?__proto__=1` })).toMatchObject({ status: 400, pointers: ['/__proto__'] });
    expect(await refused(endpoint, { path: `${path}?a=1&a=2` })).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test('refuses an address that is too long or cannot be read', async () => {
    const { path } = requestFor(endpoint);
    expect(await refused(endpoint, { path: `${path}?q=${'x'.repeat(17_000)}` }).catch(() => 'cut')).toSatisfy(
      (answer) => answer === 'cut' || answer.status === 431,
    );
    if (!endpoint.path.includes(':id')) return;
    expect(await refused(endpoint, { path: endpoint.path.replace(':id', '%E0%A4%A') })).toMatchObject({ status: 400, code: 'invalid_request' });
    const nul = await refused(endpoint, { path: endpoint.path.replace(':id', 'x%00y') });
    expect(['not_found', 'invalid_definition', 'invalid_request']).toContain(nul.code);
    expect(nul.status).toBeLessThan(500);
  });
});

describe.each([...withJson, ...withDefinition])('the body of %s', (_, endpoint) => {
  test('is read by its content type, and only up to 64 KiB', async () => {
    for (const type of ['', 'text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'multipart/form-data; boundary=x']) {
      expect(await refused(endpoint, { headers: type === '' ? {} : { 'content-type': type } })).toMatchObject({
        status: 415,
        code: 'unsupported_media_type',
      });
    }
    const big = { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'x'.repeat(70_000) }) };
    expect(await refused(endpoint, big)).toMatchObject({ status: 413, code: 'payload_too_large' });
    expect(await refused(endpoint, { ...big, key: 'nobody' })).toMatchObject({ status: 401 });
    expect(await refused(endpoint, { headers: { 'content-type': 'application/json', 'content-encoding': 'compress' } })).toMatchObject({
      status: 415,
    });
  });

  test('must be there, and be JSON', async () => {
    const type = { 'content-type': 'application/json' };
    for (const body of [
      '',
      '{',
      '{"a":1,}',
      "{'a':1}",
      '\u0000',
      '[1',
      '{"a":1}{"b":2}',
      '['.repeat(30_000),
      `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`,
    ]) {
      const answer = await refused(endpoint, { headers: type, body });
      expect([400, 413]).toContain(answer.status);
      expect(['invalid_request', 'invalid_definition']).toContain(answer.code);
    }
    for (const body of ['null', '5', '"x"', '[]', 'true']) {
      const answer = await refused(endpoint, { headers: type, body });
      expect(answer.status).toBe(400);
      expect(answer.pointers.length).toBeGreaterThan(0);
    }
  });
});

describe.each(withJson)('the fields of %s', (name, endpoint) => {
  const sample = bodies[name];
  const base = typeof sample === 'object' && sample !== null ? sample : {};

  test('that it does not have are refused by name', async () => {
    expect(await refused(endpoint, json({ ...base, no_such: 1 }))).toMatchObject({ status: 400, code: 'invalid_request', pointers: ['/no_such'] });
    const text = JSON.stringify(base).slice(0, -1);
    const type = { 'content-type': 'application/json' };
    for (const evil of ['__proto__', 'constructor', 'prototype']) {
      expect(await refused(endpoint, { headers: type, body: `${text},"${evil}":{"polluted":true}}` })).toMatchObject({
        status: 400,
        pointers: [`/${evil}`],
      });
      expect(await refused(endpoint, { headers: type, body: `${text},"metadata":{"a":[{"${evil}":{"polluted":true}}]}}` })).toMatchObject({
        status: 400,
        pointers: [`/metadata/a/0/${evil}`],
      });
    }
    expect({}).not.toHaveProperty('polluted');
  });

  test('of a wrong type are each named', async () => {
    for (const field of Object.keys(base)) {
      const { status, code, pointers } = await refused(endpoint, json({ ...base, [field]: [[true]] }));
      expect([field, status, code]).toEqual([field, 400, 'invalid_request']);
      expect(pointers.filter((pointer) => pointer === `/${field}` || pointer.startsWith(`/${field}/`))).not.toEqual([]);
      const nul = await refused(endpoint, json({ ...base, [field]: 'a\u0000b' }));
      expect(nul).toMatchObject({ status: 400, pointers: [`/${field}`] });
      expect(await refused(endpoint, json({ ...base, [field]: '\ud800' }))).toMatchObject({ status: 400, pointers: [`/${field}`] });
    }
  });

  test('that are columns of ours cannot be set', async () => {
    const columns = await broker.sql<{ column_name: string }>(
      `select distinct column_name from information_schema.columns where table_schema = 'public'`,
    );
    expect(columns.length).toBeGreaterThan(60);
    const declared = new Set(Object.keys(fieldsOf(endpoint)));
    const foreign = columns.map(({ column_name }) => column_name).filter((column) => !declared.has(column));
    const { status, pointers } = await refused(endpoint, json({ ...base, ...Object.fromEntries(foreign.map((column) => [column, 'x'])) }));
    expect(status).toBe(400);
    expect(pointers.sort()).toEqual(foreign.map((column) => `/${column}`).sort());
  });
});

/** The fields that the call takes, all variants together. */
function fieldsOf({ body }: Endpoint): Record<string, unknown> {
  const { def } = body ?? { def: undefined };
  if (typeof def === 'object' && def !== null && 'options' in def && Array.isArray(def.options))
    return Object.assign({}, ...def.options.map((option) => option.shape));
  return body !== undefined && 'shape' in body && typeof body.shape === 'object' ? { ...body.shape } : {};
}
