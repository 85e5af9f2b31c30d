import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import type { Configuration, JWK } from 'oidc-provider';
import { type AuthorizationServerCounters, type AuthorizationServerSwitches, scopesOffered } from './authorization-server-state.ts';
import type { OidcStore } from './oidc-store.ts';
import { page } from './page.ts';

/** The one file that knows oidc-provider: a conforming OAuth 2.0 authorization server, narrowed to what the sandbox needs. */

/** The library says on the console that it does not know this Node release; the sandbox prints nothing. */
async function importQuietly(): Promise<typeof import('oidc-provider')> {
  const { warn } = console;
  console.warn = (...args: unknown[]) => {
    if (!String(args[0]).includes('oidc-provider WARNING')) warn(...args);
  };
  try {
    return await import('oidc-provider');
  } finally {
    console.warn = warn;
  }
}

/** A new EC P-256 key for ES256, private, with a `kid`. */
export function newSigningKey(kid: string): Record<string, string> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y, d } = privateKey.export({ format: 'jwk' });
  return { kty: kty ?? '', crv: crv ?? '', x: x ?? '', y: y ?? '', d: d ?? '', kid, alg: 'ES256', use: 'sig' };
}

export type Approval = { kind: 'approve'; user: string; withheldScopes: readonly string[] } | { kind: 'deny' };
export type TokenOwner = { kind: 'user'; user: string; scopes: string } | { kind: 'client'; client: string; scopes: string };

export type Oidc = {
  /** Handles a request to any of the server's own endpoints; resolves when it is answered. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Who asks for what on the consent page that the browser is at; undefined when there is none. */
  question(request: IncomingMessage, response: ServerResponse): Promise<{ client: string; scopes: string[] } | undefined>;
  /** Answers the consent page and sends the browser on. */
  answer(request: IncomingMessage, response: ServerResponse, approval: Approval): Promise<void>;
  /** Whose access token this is; undefined when it is unknown, expired or revoked. */
  ownerOf(accessToken: string): Promise<TokenOwner | undefined>;
};

type World = { issuer: string; store: OidcStore; switches: AuthorizationServerSwitches; counters: AuthorizationServerCounters };

function configuration({ store, switches }: Omit<World, 'issuer'>): Configuration {
  return {
    adapter: (model: string) => store.adapter(model),
    jwks: { keys: [newSigningKey('sandbox') as JWK] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: [...scopesOffered],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    pkce: { required: () => true },
    rotateRefreshToken: () => switches.rotation === 'single_use',
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: (_, client, token) => client.clientId === token.clientId },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    // Each approval is a grant of its own, so that two connections of one user end apart.
    loadExistingGrant: async (ctx) => {
      const grantId = ctx.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : ctx.oidc.provider.Grant.find(grantId);
    },
    findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, name: id, email: `${id}@sandbox.test` }) }),
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = page('That did not work', `<p><code>${out.error}</code></p>`);
    },
    ttl: {
      AccessToken: () => switches.accessTokenTtlS,
      ClientCredentials: () => switches.accessTokenTtlS,
      RefreshToken: () => switches.refreshTokenTtlS,
      AuthorizationCode: 60,
      Grant: () => switches.refreshTokenTtlS,
      IdToken: 3600,
      Interaction: 600,
      Session: 600,
    },
  };
}

function countTokenRequests(provider: Provider, counters: AuthorizationServerCounters): void {
  const count = (grantType: unknown) => {
    const name = typeof grantType === 'string' ? grantType : 'none';
    counters.token[name] = (counters.token[name] ?? 0) + 1;
  };
  provider.on('grant.success', (ctx) => {
    count(ctx.oidc.params?.grant_type);
    if (ctx.oidc.params?.grant_type === 'refresh_token') counters.refresh_ok += 1;
  });
  provider.on('grant.error', (ctx, error) => {
    count(ctx.oidc.params?.grant_type);
    if (error.error_detail === 'refresh token already used') counters.refresh_reuse += 1;
  });
}

/** A server without the login cookie has no session: it asks the user anew each time, so that several users share one browser. */
function withoutSession(request: IncomingMessage): void {
  const cookies = (request.headers.cookie ?? '').split('; ').filter((cookie) => !cookie.startsWith('_session'));
  request.headers.cookie = cookies.join('; ');
}

export async function createOidc({ issuer, store, switches, counters }: World): Promise<Oidc> {
  const { default: OidcProvider } = await importQuietly();
  const provider = new OidcProvider(issuer, configuration({ store, switches, counters }));
  provider.silent = true;
  countTokenRequests(provider, counters);
  const callback = provider.callback();

  return {
    async handle(request, response) {
      withoutSession(request);
      await callback(request, response);
    },
    async question(request, response) {
      const details = await provider.interactionDetails(request, response).catch(() => undefined);
      if (details === undefined) return undefined;
      return {
        client: String(details.params.client_id),
        scopes: String(details.params.scope ?? '')
          .split(' ')
          .filter(Boolean),
      };
    },
    async answer(request, response, approval) {
      if (approval.kind === 'deny') {
        return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'The user declined.' });
      }
      const { params } = await provider.interactionDetails(request, response);
      const grant = new provider.Grant({ accountId: approval.user, clientId: String(params.client_id) });
      for (const scope of String(params.scope ?? '')
        .split(' ')
        .filter(Boolean)) {
        if (approval.withheldScopes.includes(scope)) grant.rejectOIDCScope(scope);
        else grant.addOIDCScope(scope);
      }
      await provider.interactionFinished(request, response, {
        login: { accountId: approval.user, remember: false },
        consent: { grantId: await grant.save() },
      });
    },
    async ownerOf(accessToken) {
      const byUser = await provider.AccessToken.find(accessToken);
      if (byUser !== undefined) return { kind: 'user', user: byUser.accountId, scopes: byUser.scope ?? '' };
      const byClient = await provider.ClientCredentials.find(accessToken);
      if (byClient?.clientId === undefined) return undefined;
      return { kind: 'client', client: byClient.clientId, scopes: byClient.scope ?? '' };
    },
  };
}
