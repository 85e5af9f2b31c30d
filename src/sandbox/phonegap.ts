import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DefinitionInput } from '../protocol/definition/schema.ts';
import { answerJson, answerPage, readForm, redirectTo, targetOf, withParams } from './exchange.ts';
import { type Fault, takeFault, withFault } from './fault.ts';
import { type Listener, listen } from './listener.ts';
import { boundedMap } from './memory.ts';
import { approvalPage, page } from './page.ts';
import type { SandboxProvider } from './provider.ts';

/**
 * PhoneGap Build as its documentation described it: no state, no redirect_uri, no grant_type, everything in the query of a POST,
 * `authorization_refused` for a denial, tokens without an end that go into the API's query, and a second way by auth token.
 */

export type PhonegapSwitches = {
  /** HTTP status of `{"error":"invalid request"}`: the documentation names none. */
  errorStatus: number;
  fault: Fault;
};
export type PhonegapCounters = { authorize: number; token_requests: number; auth_token_requests: number; tokens_issued: number; api_ok: number };

export type SandboxPhonegap = SandboxProvider<PhonegapSwitches, PhonegapCounters> & {
  /** The auth token from the user's account settings. */
  authTokenOf(user: string): string;
  /** The user withdraws: every token of hers ends. */
  revokeUser(user: string): void;
};

function definitionOf(url: string): string {
  const response = { error: '/error' };
  const definition: DefinitionInput = {
    id: 'sandbox-phonegap',
    name: 'Sandbox PhoneGap Build',
    categories: ['sandbox'],
    api: { base_url: `${url}/api/v1`, token: { in: 'query', name: 'access_token' }, probe: { method: 'GET', path: '/me' }, account: '/id' },
    methods: {
      web: {
        grant: 'authorization_code',
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/authorize/token`,
        token_endpoint_auth_method: 'client_secret_post',
        code_challenge_method: 'none',
        authorization: { omit: ['response_type', 'redirect_uri', 'state', 'scope'] },
        callback: { state: 'not_echoed', denied: ['authorization_refused'] },
        token: { format: 'query', omit: ['grant_type', 'redirect_uri'] },
        refresh: { how: 'none' },
        response,
      },
      auth_token: {
        grant: 'credential_exchange',
        inputs: { auth_token: { label: 'Auth token', secret: true, description: 'Found in your account settings.' } },
        token_endpoint: `${url}/authorize`,
        token: { format: 'query', params: { auth_token: '{auth_token}' }, omit: ['grant_type'] },
        refresh: { how: 'none' },
        response,
      },
    },
  };
  return JSON.stringify(definition, null, 2);
}

const newToken = () => randomBytes(16).toString('hex');

export async function startPhonegap(): Promise<{ provider: SandboxPhonegap; listener: Listener }> {
  const listener = await listen();
  const { url } = listener;
  const client = { client_id: 'sandbox-phonegap-app', client_secret: newToken() };
  const switches: PhonegapSwitches = { errorStatus: 400, fault: { kind: 'none' } };
  const counters: PhonegapCounters = { authorize: 0, token_requests: 0, auth_token_requests: 0, tokens_issued: 0, api_ok: 0 };
  let callback = '';
  const codes = boundedMap<string, { user: string; endsAt: number }>();
  const tokens = boundedMap<string, { user: string }>();
  const authTokens = boundedMap<string, string>();

  const refuse = (response: ServerResponse) => answerJson(response, switches.errorStatus, { error: 'invalid request' });
  const isClient = (query: URLSearchParams) => query.get('client_id') === client.client_id && query.get('client_secret') === client.client_secret;
  const issue = (response: ServerResponse, user: string) => {
    const token = newToken();
    tokens.set(token, { user });
    counters.tokens_issued += 1;
    answerJson(response, 200, { access_token: token });
  };

  function takeCode(code: string): string | undefined {
    const entry = codes.get(code);
    codes.delete(code);
    return entry !== undefined && entry.endsAt > Date.now() ? entry.user : undefined;
  }

  function ask(query: URLSearchParams, response: ServerResponse): void {
    counters.authorize += 1;
    const clientId = query.get('client_id');
    if (clientId !== client.client_id || callback === '') return answerPage(response, 400, page('Unknown application', ''));
    answerPage(response, 200, approvalPage({ title: 'Sandbox PhoneGap Build', client: clientId, action: '/authorize/decision' }));
  }

  async function decide(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request);
    if (form.get('decision') !== 'approve') return redirectTo(response, withParams(callback, { error: 'authorization_refused' }));
    const code = newToken();
    codes.set(code, { user: form.get('user') ?? 'alice', endsAt: Date.now() + 600_000 });
    redirectTo(response, withParams(callback, { code }));
  }

  function exchangeCode(query: URLSearchParams, response: ServerResponse): void {
    const user = isClient(query) ? takeCode(query.get('code') ?? '') : undefined;
    return user === undefined ? refuse(response) : issue(response, user);
  }

  function exchangeAuthToken(query: URLSearchParams, response: ServerResponse): void {
    const user = isClient(query) ? authTokens.get(query.get('auth_token') ?? '') : undefined;
    return user === undefined ? refuse(response) : issue(response, user);
  }

  function me(query: URLSearchParams, response: ServerResponse): void {
    const owner = tokens.get(query.get('access_token') ?? '');
    if (owner === undefined) return answerJson(response, 401, { error: 'invalid authentication' });
    counters.api_ok += 1;
    answerJson(response, 200, { id: owner.user, username: owner.user, email: `${owner.user}@sandbox.test` });
  }

  listener.handle(async (request, response, later) => {
    const { pathname, searchParams: query } = targetOf(request, url);
    const exchange = { request, response, later };
    switch (`${request.method} ${pathname}`) {
      case 'GET /authorize':
        return ask(query, response);
      case 'POST /authorize/decision':
        return decide(request, response);
      case 'POST /authorize/token':
        counters.token_requests += 1;
        return withFault(takeFault(switches, 'fault'), exchange, () => exchangeCode(query, response));
      case 'POST /authorize':
        counters.auth_token_requests += 1;
        return withFault(takeFault(switches, 'fault'), exchange, () => exchangeAuthToken(query, response));
      case 'GET /api/v1/me':
        return me(query, response);
      default:
        return answerJson(response, 404, { error: 'not found' });
    }
  });

  const provider: SandboxPhonegap = {
    url,
    definition: definitionOf(url),
    client,
    // An application has one callback: the last one that was registered.
    registerRedirectUri: (uri) => {
      callback = uri;
    },
    switches,
    counters,
    authTokenOf: (user) => {
      for (const [token, owner] of authTokens) if (owner === user) return token;
      const token = newToken();
      authTokens.set(token, user);
      return token;
    },
    revokeUser: (user) => {
      for (const [token, owner] of tokens) if (owner.user === user) tokens.delete(token);
      for (const [token, owner] of authTokens) if (owner === user) authTokens.delete(token);
    },
  };
  return { provider, listener };
}
