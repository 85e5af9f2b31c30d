import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { DefinitionInput } from '../protocol/definition/schema.ts';
import { answerJson, targetOf } from './exchange.ts';
import { type Fault, takeFault, withFault } from './fault.ts';
import { type Listener, listen } from './listener.ts';
import { boundedMap } from './memory.ts';
import type { SandboxProvider } from './provider.ts';

/** A service that its users reach with an API key (in `X-Api-Key`, or in the path behind `bot`), or with user name and password (RFC 7617). */

export type KeyServiceSwitches = { fault: Fault };
export type KeyServiceCounters = { requests: number; api_ok: number };

export type SandboxKeyService = SandboxProvider<KeyServiceSwitches, KeyServiceCounters> & {
  /** A new API key of the user. */
  issueKey(user: string): string;
  /** Gives the user a new password. */
  issuePassword(user: string): string;
  /** Ends every key and the password of the user. */
  revokeUser(user: string): void;
};

function definitionOf(url: string): string {
  const inputs = { api_key: { label: 'API key', secret: true, pattern: '^[A-Za-z0-9_-]{16,64}$' } };
  const definition: DefinitionInput = {
    id: 'sandbox-keys',
    name: 'Sandbox key service',
    categories: ['sandbox'],
    api: { base_url: `${url}/api`, token: { in: 'header', name: 'X-Api-Key', scheme: '' }, probe: { method: 'GET', path: '/me' }, account: '/id' },
    methods: {
      key: { grant: 'api_key', inputs },
      bot: { grant: 'api_key', inputs, api: { token: { in: 'path', prefix: 'bot' } } },
      basic: { grant: 'basic', inputs: { username: { label: 'User name' }, password: { label: 'Password', secret: true } } },
    },
  };
  return JSON.stringify(definition, null, 2);
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

export async function startKeyService(): Promise<{ provider: SandboxKeyService; listener: Listener }> {
  const listener = await listen();
  const { url } = listener;
  const switches: KeyServiceSwitches = { fault: { kind: 'none' } };
  const counters: KeyServiceCounters = { requests: 0, api_ok: 0 };
  const keys = boundedMap<string, string>();
  const passwords = boundedMap<string, string>();

  function ownerByKey({ headers }: IncomingMessage): string | undefined {
    const key = headers['x-api-key'];
    return typeof key === 'string' ? keys.get(key) : undefined;
  }

  function ownerByPassword({ headers }: IncomingMessage): string | undefined {
    const encoded = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(headers.authorization ?? '')?.[1];
    const [, user, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? [];
    if (user === undefined || password === undefined) return undefined;
    const expected = passwords.get(user);
    return expected !== undefined && same(password, expected) ? user : undefined;
  }

  listener.handle(async (request, response, later) => {
    const { pathname } = targetOf(request, url);
    counters.requests += 1;
    await withFault(takeFault(switches, 'fault'), { request, response, later }, () => {
      const [, inPath] = /^\/api\/bot([^/]+)\/me$/.exec(pathname) ?? [];
      if (inPath === undefined && pathname !== '/api/me' && pathname !== '/basic/me') return answerJson(response, 404, { error: 'not_found' });
      const owner = ownerByPassword(request) ?? (pathname === '/api/me' ? ownerByKey(request) : keys.get(inPath ?? ''));
      if (owner === undefined) return answerJson(response, 401, { error: 'unauthorized' }, { 'www-authenticate': 'Basic realm="sandbox"' });
      counters.api_ok += 1;
      answerJson(response, 200, { id: owner, name: owner });
    });
  });

  const provider: SandboxKeyService = {
    url,
    definition: definitionOf(url),
    client: { client_id: 'sandbox-keys-app', client_secret: 'unused' },
    registerRedirectUri: () => undefined,
    switches,
    counters,
    issueKey: (user) => {
      const key = `sk_${randomBytes(18).toString('base64url')}`;
      keys.set(key, user);
      return key;
    },
    issuePassword: (user) => {
      const password = `p:${randomBytes(12).toString('base64url')} ü`;
      passwords.set(user, password);
      return password;
    },
    revokeUser: (user) => {
      for (const [key, owner] of keys) if (owner === user) keys.delete(key);
      passwords.delete(user);
    },
  };
  return { provider, listener };
}
