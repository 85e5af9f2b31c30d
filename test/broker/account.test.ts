import { expect, test } from 'vitest';
import { presentCredential } from '../../src/broker/account.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { contextOf } from '../grants/context.ts';

/** What goes with a credential on a call of the provider's API. */

const api = { base_url: 'https://api.example', headers: { 'X-Tenant': '{tenant}', 'X-Realm': '{extras.realm}', 'X-Version': '2' } };
const declared = { tenant: { label: 'Tenant', optional: true } };
const methods = {
  api_key: { grant: 'api_key' },
  oauth1: {
    grant: 'oauth1',
    request_token_endpoint: 'https://as.example/request',
    authorization_endpoint: 'https://as.example/authorize',
    access_token_endpoint: 'https://as.example/access',
  },
};

function headersOf(kind: keyof typeof methods, inputs: Record<string, string>, realm = 'r1'): Record<string, string> {
  const fields = { kind, access_token: 'key', token_type: kind, secret: 's', scopes: [], lifetimeS: null, refreshLifetimeS: null };
  const ctx = contextOf(methods[kind], { api, declared, inputs });
  return presentCredential(ctx, new Credential({ ...fields, extras: { realm } }), { method: 'GET', url: 'https://api.example/me' }).headers;
}

test.each(['api_key', 'oauth1'] as const)('%s: a header whose optional input is absent is left out', (kind) => {
  const { Authorization, ...without } = headersOf(kind, {});
  expect(Authorization).toBeTypeOf('string');
  expect(without).toEqual({ 'X-Realm': 'r1', 'X-Version': '2' });
  expect(headersOf(kind, { tenant: 't1' })).toMatchObject({ 'X-Tenant': 't1', 'X-Realm': 'r1', 'X-Version': '2' });
});

test.each(['api_key', 'oauth1'] as const)('%s: a header that is not printable ASCII is refused', (kind) => {
  for (const realm of ['r\r\nX-Evil: 1', 'ré', 'r\u0000']) {
    expect(() => headersOf(kind, {}, realm)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  }
});
