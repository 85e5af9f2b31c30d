import { describe, expect, test } from 'vitest';
import { apiKey } from '../../src/grants/api-key.ts';
import { basic } from '../../src/grants/basic.ts';
import { grantFor, grants } from '../../src/grants/index.ts';
import { contextFor } from './context.ts';

const input = { redirectUri: '', state: '', scopes: [], endpoint: 'authorization' } as const;
const request = { method: 'GET', url: 'https://api.acme.com/me?key=old&a=1' };

async function present(
  grant: 'api_key' | 'basic',
  inputs: Record<string, string>,
  { api = {}, method = {} }: Record<string, Record<string, unknown>> = {},
) {
  const ctx = contextFor(grant, method, { api, inputs });
  const started = await grantFor(ctx.method).start(ctx, input);
  if (started.kind !== 'credential') throw new Error(started.kind);
  return { fields: started.credential.reveal(), presented: grantFor(ctx.method).present(ctx, started.credential, request) };
}

describe('api_key', () => {
  test('the input as it is, where the definition wants it, with the headers that each call needs', async () => {
    const inputs = { api_key: 'k-1' };
    expect((await present('api_key', inputs)).presented).toEqual({ url: request.url, headers: { Authorization: 'Bearer k-1' } });
    expect(
      (await present('api_key', inputs, { api: { token: { scheme: '' }, headers: { authorization: 'no', 'Client-Id': '{client_id}' } } })).presented
        .headers,
    ).toEqual({ Authorization: 'k-1', 'Client-Id': 'client' });
    expect((await present('api_key', inputs, { api: { token: { in: 'query', name: 'key' } } })).presented).toEqual({
      url: 'https://api.acme.com/me?a=1&key=k-1',
      headers: {},
    });
    const api = { base_url: 'https://api.acme.com', token: { in: 'path', prefix: 'bot' }, headers: { 'X-App': 'a' } };
    expect((await present('api_key', { api_key: 'k/1' }, { api })).presented).toEqual({
      url: 'https://api.acme.com/botk%2F1/me?key=old&a=1',
      headers: { 'X-App': 'a' },
    });
    expect((await present('api_key', inputs, { method: { value: 'token={api_key}' } })).fields).toMatchObject({
      kind: 'api_key',
      access_token: 'token=k-1',
      token_type: 'api_key',
      lifetimeS: null,
    });
  });

  test.each(['', 'a b', 'a\r\nx: y', 'a\0', 'clé'])('%o could not be sent', async (api_key) => {
    await expect(present('api_key', { api_key })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test.each(['.', '..'])('%o could not be sent in a path, and anywhere else', async (api_key) => {
    const api = { base_url: 'https://api.acme.com', token: { in: 'path', prefix: 'bot' } };
    await expect(present('api_key', { api_key }, { api })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('path'),
    });
    expect((await present('api_key', { api_key })).presented.headers['Authorization']).toBe(`Bearer ${api_key}`);
  });

  test('in a path, not of an address beside the base', async () => {
    const api = { base_url: 'https://api.acme.com/v2', token: { in: 'path' } };
    await expect(present('api_key', { api_key: 'k-1' }, { api })).rejects.toMatchObject({
      code: 'invalid_request',
      details: { errors: [{ pointer: '/url' }] },
    });
  });

  test('without its input', async () => {
    await expect(present('api_key', {})).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('asks nothing of the provider, and cannot refresh', () => {
    expect(Object.keys(apiKey)).toEqual(['start', 'present']);
    expect(Object.keys(basic)).toEqual(['start', 'present']);
  });
});

describe('basic', () => {
  test('RFC 7617, in UTF-8, whatever api.token says', async () => {
    const { presented, fields } = await present('basic', { username: 'jane', password: 'pä:ß' }, { api: { token: { in: 'query', name: 'key' } } });
    expect(presented.headers['Authorization']).toBe(`Basic ${Buffer.from('jane:pä:ß', 'utf8').toString('base64')}`);
    expect(fields).toMatchObject({ kind: 'basic', access_token: 'jane', secret: 'pä:ß' });
  });

  test('an empty password and templates', async () => {
    const { presented } = await present('basic', { key: 'k' }, { method: { username: '{key}/token', password: '' } });
    expect(presented.headers['Authorization']).toBe(`Basic ${Buffer.from('k/token:').toString('base64')}`);
  });

  test.each([
    ['a:b', 'p'],
    ['', 'p'],
    ['a\n', 'p'],
    ['a', 'p\0'],
    ['a', 'p'.repeat(2_001)],
  ])('%o with %o could not be sent', async (username, password) => {
    await expect(present('basic', { username, password })).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

test('each grant is at its name', () => {
  expect(Object.keys(grants).sort()).toEqual([
    'api_key',
    'authorization_code',
    'basic',
    'client_credentials',
    'credential_exchange',
    'jwt_bearer',
    'oauth1',
  ]);
});
