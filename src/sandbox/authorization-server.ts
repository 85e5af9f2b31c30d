import type { IncomingMessage, ServerResponse } from 'node:http';
import { authorizationServerDefinition } from './authorization-server-definition.ts';
import {
  type AuthorizationServerCounters,
  type AuthorizationServerSwitches,
  initialCounters,
  initialSwitches,
} from './authorization-server-state.ts';
import { answerJson, answerPage, readBody, readForm, targetOf } from './exchange.ts';
import { takeFault, withFault } from './fault.ts';
import { type Later, type Listener, listen } from './listener.ts';
import { createOidc, newSigningKey, type Oidc } from './oidc.ts';
import { createOidcStore } from './oidc-store.ts';
import { approvalPage, page } from './page.ts';
import type { SandboxProvider } from './provider.ts';

export type SandboxAs = SandboxProvider<AuthorizationServerSwitches, AuthorizationServerCounters> & {
  issuer: string;
  /** The same server for a client that signs (private_key_jwt, RFC 7523) and one that has no secret (PKCE alone). */
  signingClient: { client_id: string; private_key_jwk: Readonly<Record<string, string>> };
  publicClient: { client_id: string };
  /** The user withdraws in the provider's settings: every token of hers ends. */
  revokeUser(user: string): void;
};

const secret = 'a:secret%2Fwith+reserved /characters&=?';

function publicPart({ d: _, ...key }: Record<string, string>): Record<string, string> {
  return key;
}

/** Starts the authorization server (OAuth 2.0, OpenID Connect) with its API `GET /api/me`. */
export async function startAuthorizationServer({
  redirectUris,
}: {
  redirectUris: readonly string[];
}): Promise<{ provider: SandboxAs; listener: Listener }> {
  const listener = await listen();
  const { url } = listener;
  const switches = initialSwitches();
  const counters = initialCounters();
  const signingKey = newSigningKey('sandbox-signing');
  const registered = new Set(redirectUris);

  const registration = (client_id: string, more: Record<string, unknown>) => ({
    client_id,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    redirect_uris: [...registered],
    ...more,
  });
  const clients: Record<string, () => Record<string, unknown>> = {
    'sandbox-client': () => registration('sandbox-client', { client_secret: switches.clientSecret ?? secret }),
    'sandbox-signing': () =>
      registration('sandbox-signing', { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [publicPart(signingKey)] } }),
    'sandbox-public': () =>
      registration('sandbox-public', { token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] }),
  };
  const store = createOidcStore((id) => (Object.hasOwn(clients, id) ? clients[id]?.() : undefined));
  const oidc = await createOidc({ issuer: url, store, switches, counters });

  listener.handle(async (request, response, later) => {
    const { pathname } = targetOf(request, url);
    if (pathname === '/token') return token(request, response, later);
    if (pathname === '/token/revocation') {
      return withFault(takeFault(switches, 'revocationFault'), { request, response, later }, () => {
        counters.revocations += 1;
        return oidc.handle(request, response);
      });
    }
    if (pathname === '/api/me') return me(oidc, counters, request, response);
    if (pathname.startsWith('/interaction/')) return interaction(oidc, switches, request, response);
    if (pathname === '/auth') counters.authorize += 1;
    if (pathname === '/token/introspection') counters.introspections += 1;
    return oidc.handle(request, response);
  });

  async function token(request: IncomingMessage, response: ServerResponse, later: Later): Promise<void> {
    const fault = takeFault(switches, 'fault');
    const processed = ['none', 'slow', 'slow_answer', 'drop'].includes(fault.kind);
    if (!processed) {
      const grantType = new URLSearchParams(await readBody(request)).get('grant_type') ?? 'none';
      counters.token[grantType] = (counters.token[grantType] ?? 0) + 1;
    }
    await withFault(fault, { request, response, later }, () => oidc.handle(request, response));
  }

  const provider: SandboxAs = {
    url,
    issuer: url,
    definition: authorizationServerDefinition(url),
    client: { client_id: 'sandbox-client', client_secret: secret },
    signingClient: { client_id: 'sandbox-signing', private_key_jwk: signingKey },
    publicClient: { client_id: 'sandbox-public' },
    registerRedirectUri: (uri) => void registered.add(uri),
    switches,
    counters,
    revokeUser: (user) => store.endGrantsOf(user),
  };
  return { provider, listener };
}

async function me(oidc: Oidc, counters: AuthorizationServerCounters, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const accessToken = /^bearer ([^\s,]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const owner = accessToken === undefined ? undefined : await oidc.ownerOf(accessToken);
  if (owner === undefined) {
    const challenge = accessToken === undefined ? 'Bearer realm="sandbox"' : 'Bearer realm="sandbox", error="invalid_token"';
    return answerJson(response, 401, { error: 'invalid_token' }, { 'www-authenticate': challenge });
  }
  counters.api_ok += 1;
  const id = owner.kind === 'user' ? owner.user : owner.client;
  answerJson(response, 200, { id, kind: owner.kind, name: id, scope: owner.scopes });
}

async function interaction(oidc: Oidc, switches: AuthorizationServerSwitches, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const question = await oidc.question(request, response);
  if (question === undefined) return answerPage(response, 400, page('This page has expired', '<p>Begin again.</p>'));
  const { withheldScopes } = switches;
  if (switches.autoApprove !== null) {
    return oidc.answer(request, response, { kind: 'approve', user: switches.autoApprove.user, withheldScopes });
  }
  if (request.method !== 'POST') {
    return answerPage(response, 200, approvalPage({ title: 'Sandbox sign-in', action: request.url ?? '', ...question }));
  }
  const form = await readForm(request);
  const user = form.get('user')?.trim() ?? '';
  if (form.get('decision') !== 'approve') return oidc.answer(request, response, { kind: 'deny' });
  if (user === '') return answerPage(response, 400, page('A user name is needed', '<p>Go back and enter one.</p>'));
  return oidc.answer(request, response, { kind: 'approve', user, withheldScopes });
}
