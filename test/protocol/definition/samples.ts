import type { Fault } from '../../../src/protocol/errors.ts';
import { isGrantryError } from '../../../src/protocol/errors.ts';

export type Tree = { [name: string]: unknown };

/** A sound definition with one method of each OAuth kind; tests break one thing in it. */
export function sample(): Tree {
  return {
    id: 'acme',
    name: 'Acme',
    inputs: {
      tenant: { label: 'Tenant', pattern: '^[a-z0-9-]{1,40}$', example: 'north' },
      key: { label: 'Key', secret: true },
      site: { label: 'Site', host: true, example: 'login.acme.com' },
      server: { label: 'Server', url: true, example: 'https://login.acme.com/base' },
      extra: { label: 'Extra', optional: true },
      ending: { label: 'Country', enum: ['com', 'de'] },
      env: { label: 'Environment', enum: ['', '-test'] },
    },
    api: { base_url: 'https://{tenant}.acme.com/v1', headers: { 'X-App': 'a' }, probe: { path: '/me' }, account: '/id' },
    methods: {
      web: {
        grant: 'authorization_code',
        issuer: 'https://login.acme.com',
        authorization_endpoint: 'https://{tenant}.acme.com/authorize',
        token_endpoint: 'https://{tenant}.acme.com/token',
        revocation_endpoint: 'https://{tenant}.acme.com/revoke/{client_id}',
        scopes: { default: ['read', 'write'] },
        authorization: { params: { prompt: 'consent' }, rename: { client_id: 'client_key' } },
        callback: { keep: ['realm'], denied: ['refused'] },
        token: { params: { audience: '{tenant}' } },
        refresh: {},
        revocation: { params: { token: '{access_token}', account: '{extras.account}' } },
        response: { keep: { account: '/account', home: '/home' } },
      },
      signed: {
        grant: 'oauth1',
        request_token_endpoint: 'https://{tenant}.acme.com/request_token',
        authorization_endpoint: 'https://{tenant}.acme.com/authorize',
        access_token_endpoint: 'https://{tenant}.acme.com/access_token',
        callback: {},
        response: {},
      },
    },
  };
}

/** Puts a value at a path of a tree, making the way; undefined removes what is there. */
export function put(tree: Tree, path: string, value: unknown): Tree {
  const parts = path.split('/').slice(1);
  const last = parts.pop() ?? '';
  let inner: Tree = tree;
  for (const part of parts) {
    const next = Object.getOwnPropertyDescriptor(inner, part)?.value;
    const made: Tree = typeof next === 'object' && next !== null ? next : {};
    inner[part] = made;
    inner = made;
  }
  if (value === undefined) Reflect.deleteProperty(inner, last);
  else inner[last] = value;
  return tree;
}

/** The faults that an action throws; anything but `invalid_definition` is thrown on. */
export function faultsOf(action: () => unknown): readonly Fault[] {
  try {
    action();
    return [];
  } catch (error) {
    if (isGrantryError(error, 'invalid_definition')) return error.details.errors ?? [];
    throw error;
  }
}
