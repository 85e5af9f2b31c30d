import { randomBytes, randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerForm, answerJson, answerPage, readBody, readForm, redirectTo, targetOf, withParams } from './exchange.ts';
import { takeFault, withFault } from './fault.ts';
import { type Listener, listen } from './listener.ts';
import { boundedMap } from './memory.ts';
import { nexmoDefinitions } from './nexmo-definition.ts';
import { initialNexmoCounters, initialNexmoSwitches, type NexmoCounters, type NexmoSwitches } from './nexmo-state.ts';
import { createVerifier, type Refused, type Verified } from './oauth1-verifier.ts';
import { approvalPage, escapeHtml, page } from './page.ts';
import type { SandboxProvider } from './provider.ts';

/**
 * Nexmo's OAuth 1.0a below /oauth: out of band, no verifier; the user approves and goes back by herself.
 * Below /oauth1 the same with RFC 5849's verifier: by callback, or as a PIN when oauth_callback is `oob`.
 */

export type SandboxNexmo = SandboxProvider<NexmoSwitches, NexmoCounters> & {
  /** id `sandbox-oauth1`: url callback with verifier and oauth_callback_confirmed. */
  definitionWithCallback: string;
  /** id `sandbox-oauth1-pin`: out of band with a verifier that the page shows. */
  definitionWithPin: string;
  /** PEM of the client's public key; RSA-SHA1 is accepted from then on. */
  registerRsaPublicKey(pem: string): void;
  revokeUser(user: string): void;
};

type RequestToken = { secret: string; way: 'plain' | 'verifier'; callback: string; user?: string; verifier?: string; denied?: true; endsAt: number };

const newToken = () => randomBytes(12).toString('hex');

export async function startNexmo({ redirectUris }: { redirectUris: readonly string[] }): Promise<{ provider: SandboxNexmo; listener: Listener }> {
  const listener = await listen();
  const { url } = listener;
  const client = { client_id: 'sandbox-nexmo-app', client_secret: `n&x%${newToken()}` };
  const switches = initialNexmoSwitches();
  const counters = initialNexmoCounters();
  const registered = new Set(redirectUris);
  const requestTokens = boundedMap<string, RequestToken>();
  const accessTokens = boundedMap<string, { secret: string; user: string }>();
  let rsaPublicKey: string | undefined;

  const clockS = () => Math.floor(Date.now() / 1000) + switches.clockSkewS;
  const check = createVerifier({ consumer: { key: client.client_id, secret: client.client_secret }, clockS, rsaPublicKey: () => rsaPublicKey });

  const living = (token: string | null): RequestToken | undefined => {
    const entry = requestTokens.get(token ?? '');
    return entry !== undefined && entry.endsAt > Date.now() ? entry : undefined;
  };

  function refuse(response: ServerResponse, { status, problem }: Omit<Refused, 'kind'>): void {
    counters.refused[problem] = (counters.refused[problem] ?? 0) + 1;
    const range = problem === 'timestamp_refused' ? { oauth_acceptable_timestamps: `${clockS() - 300}-${clockS() + 300}` } : {};
    answerForm(response, status, { oauth_problem: problem, ...range });
  }

  async function verified(request: IncomingMessage, secretOf: (token: string) => string | undefined): Promise<Verified | Refused> {
    const { authorization = '', host = '', 'content-type': contentType = '' } = request.headers;
    return check(
      { method: request.method ?? '', host, target: request.url ?? '', authorization, contentType, body: await readBody(request) },
      secretOf,
    );
  }

  async function requestToken(way: RequestToken['way'], request: IncomingMessage, response: ServerResponse): Promise<void> {
    const result = await verified(request, (token) => (token === '' ? '' : undefined));
    if (result.kind === 'refused') return refuse(response, result);
    const callback = result.params.get('oauth_callback') ?? '';
    if (way === 'verifier' && callback !== 'oob' && !registered.has(callback.split('?')[0] ?? ''))
      return refuse(response, { status: 400, problem: 'parameter_rejected' });

    if (way === 'plain' && switches.requestTokenEnds === 'all_of_consumer') {
      counters.tokens_ended += accessTokens.size;
      accessTokens.clear();
    }
    const [token, secret] = [newToken(), newToken()];
    requestTokens.set(token, { secret, way, callback, endsAt: Date.now() + 600_000 });
    const confirmed = way === 'verifier' && switches.confirmed !== 'missing' ? { oauth_callback_confirmed: switches.confirmed } : {};
    answerForm(response, 200, { oauth_token: token, oauth_token_secret: secret, ...confirmed });
  }

  function ask(title: string, query: URLSearchParams, response: ServerResponse): void {
    const token = query.get('oauth_token');
    const entry = living(token);
    if (token === null || entry === undefined || entry.user !== undefined || entry.denied) {
      return answerPage(response, 400, page('This request is not known', '<p>Begin again.</p>'));
    }
    answerPage(response, 200, approvalPage({ title, client: client.client_id, action: '/decision', hidden: { oauth_token: token } }));
  }

  async function decide(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request);
    const token = form.get('oauth_token') ?? '';
    const entry = living(token);
    if (entry === undefined || entry.user !== undefined || entry.denied) return answerPage(response, 400, page('This request is not known', ''));
    const goesBack = entry.way === 'verifier' && entry.callback !== 'oob';

    if (form.get('decision') !== 'approve') {
      entry.denied = true;
      if (goesBack) return redirectTo(response, withParams(entry.callback, { [switches.deniedParameter]: token }));
      return answerPage(response, 200, page('Declined', '<p>Nothing was connected.</p>'));
    }
    entry.user = form.get('user') ?? 'alice';
    if (entry.way === 'plain') return answerPage(response, 200, page('Approved', '<p>You may return to the application now.</p>'));
    entry.verifier = String(randomInt(1_000_000, 10_000_000));
    if (!goesBack) return answerPage(response, 200, page('Approved', `<p>Enter this PIN: <code id="pin">${escapeHtml(entry.verifier)}</code></p>`));
    const answered = switches.callbackToken === 'own' ? token : newToken();
    redirectTo(response, withParams(entry.callback, { oauth_token: answered, oauth_verifier: entry.verifier }));
  }

  async function accessToken(way: RequestToken['way'], request: IncomingMessage, response: ServerResponse): Promise<void> {
    const result = await verified(request, (token) => living(token)?.secret);
    if (result.kind === 'refused') return refuse(response, result);
    const token = result.params.get('oauth_token') ?? '';
    const entry = living(token);
    if (entry === undefined || entry.way !== way) return refuse(response, { status: 401, problem: 'token_rejected' });
    if (entry.denied) return refuse(response, { status: 401, problem: 'permission_denied' });
    if (entry.user === undefined) return refuse(response, { status: 401, problem: 'permission_unknown' });
    requestTokens.delete(token);
    if (entry.verifier !== undefined && result.params.get('oauth_verifier') !== entry.verifier) {
      return refuse(response, { status: 401, problem: 'verifier_invalid' });
    }
    const [issued, secret] = [newToken(), newToken()];
    accessTokens.set(issued, { secret, user: entry.user });
    counters.tokens_issued += 1;
    answerForm(response, 200, { oauth_token: issued, oauth_token_secret: secret });
  }

  async function me(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const result = await verified(request, (token) => accessTokens.get(token)?.secret);
    if (result.kind === 'refused') return refuse(response, result);
    counters.api_ok += 1;
    const user = accessTokens.get(result.params.get('oauth_token') ?? '')?.user;
    answerJson(response, 200, { id: user, name: user });
  }

  listener.handle(async (request, response, later) => {
    const { pathname, searchParams } = targetOf(request, url);
    const way = pathname.startsWith('/oauth1/') ? 'verifier' : 'plain';
    const faulty = (process: () => Promise<void>) => withFault(takeFault(switches, 'fault'), { request, response, later }, process);
    switch (pathname.replace(/^\/oauth1\//, '/oauth/')) {
      case '/oauth/request_token':
        counters.request_token += 1;
        return faulty(() => requestToken(way, request, response));
      case '/oauth/access_token':
        counters.access_token += 1;
        return faulty(() => accessToken(way, request, response));
      case '/oauth/authorize':
        counters.authorize += 1;
        return ask('Sandbox Nexmo: authorize', searchParams, response);
      case '/oauth/authenticate':
        counters.authenticate += 1;
        return ask('Sandbox Nexmo: sign in', searchParams, response);
      case '/decision':
        return decide(request, response);
      case '/api/me':
        return me(request, response);
      default:
        return answerJson(response, 404, { error: 'not_found' });
    }
  });

  const provider: SandboxNexmo = {
    url,
    ...nexmoDefinitions(url),
    client,
    registerRedirectUri: (uri) => void registered.add(uri),
    registerRsaPublicKey: (pem) => {
      rsaPublicKey = pem;
    },
    switches,
    counters,
    revokeUser: (user) => {
      for (const [token, owner] of accessTokens) if (owner.user === user) accessTokens.delete(token);
    },
  };
  return { provider, listener };
}
