import { expect, test } from 'vitest';
import { clientAuthentication, clientNeeds } from '../../src/protocol/client-authentication.ts';
import { methodSchema } from '../../src/protocol/definition/schema.ts';

const client = { client_id: 'id:1', client_secret: 'a:b%c/d+e f' };
const decode = (header: string | undefined) => Buffer.from(header?.replace('Basic ', '') ?? '', 'base64').toString();

test('client_secret_basic form-encodes both before it joins them (RFC 6749 section 2.3.1 and appendix B)', () => {
  const { headers, params } = clientAuthentication('client_secret_basic', client);
  expect(decode(headers['authorization'])).toBe('id%3A1:a%3Ab%25c%2Fd%2Be+f');
  expect(params).toEqual({});
});

test('basic_raw does not', () => {
  expect(decode(clientAuthentication('basic_raw', client).headers['authorization'])).toBe('id:1:a:b%c/d+e f');
});

test('the others leave the header alone', () => {
  expect(clientAuthentication('client_secret_post', client)).toEqual({ headers: {}, params: client });
  expect(clientAuthentication('none', client)).toEqual({ headers: {}, params: { client_id: 'id:1' } });
  expect(clientAuthentication('private_key_jwt', client, 'jwt')).toEqual({
    headers: {},
    params: { client_id: 'id:1', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: 'jwt' },
  });
});

test.each(['client_secret_basic', 'basic_raw', 'client_secret_post', 'private_key_jwt'] as const)(
  '%s without its secret is the operator’s fault',
  (method) => {
    expect(() => clientAuthentication(method, { client_id: 'id' })).toThrow(expect.objectContaining({ code: 'invalid_client' }));
  },
);

test('an empty secret is one (installed applications of some providers have that)', () => {
  expect(decode(clientAuthentication('client_secret_basic', { client_id: 'id', client_secret: '' }).headers['authorization'])).toBe('id:');
});

test('client_id_basic: Basic with an empty secret, whatever is registered', () => {
  expect(decode(clientAuthentication('client_id_basic', client).headers['authorization'])).toBe('id%3A1:');
});

const needs = (method: Record<string, unknown>) =>
  clientNeeds(
    methodSchema.parse({ grant: 'client_credentials', token_endpoint: 'https://as.acme.com/t', token_endpoint_auth_method: 'none', ...method }),
  );

test.each([
  [{}, { secret: false, key: false }],
  [{ token_endpoint_auth_method: 'client_id_basic' }, { secret: false, key: false }],
  [{ token_endpoint_auth_method: 'private_key_jwt' }, { secret: false, key: true }],
  [{ refresh: { token_endpoint_auth_method: 'basic_raw' } }, { secret: true, key: false }],
  [{ token: { headers: { 'X-Key': '{client_secret}' } } }, { secret: true, key: false }],
  [{ revocation: { headers: { 'X-Key': 'Client {client_secret}' } } }, { secret: true, key: false }],
])('what %j needs of the registration', (method, expected) => {
  expect(needs(method)).toEqual(expected);
});
