import type { DefinitionInput } from '../protocol/definition/schema.ts';
import { answerJson, answerPage, readBody, redirectTo, targetOf, withParams } from './exchange.ts';
import { type Answer, tokenAnswer } from './hostile-answers.ts';
import { type Listener, listen } from './listener.ts';
import { page } from './page.ts';
import type { SandboxProvider } from './provider.ts';

/** A provider whose token endpoint answers what the test has set. Its authorization endpoint approves at once. */

export type HostileSwitches = {
  /** The answers to the next token requests, in order; the last one stays. */
  answers: readonly [Answer, ...Answer[]];
};
export type HostileCounters = { authorize: number; token_requests: number };

export type SeenRequest = { method: string; target: string; headers: Readonly<Record<string, string>>; body: string };

export type SandboxHostile = SandboxProvider<HostileSwitches, HostileCounters> & {
  /** The next token requests get these, in order; the last one stays. */
  answerWith(first: Answer, ...more: Answer[]): void;
  /** The last 100 token requests, oldest first. */
  seen: readonly SeenRequest[];
};

function definitionOf(url: string): string {
  const endpoints = { token_endpoint: `${url}/token`, scopes: { default: ['read'] } };
  const definition: DefinitionInput = {
    id: 'sandbox-hostile',
    name: 'Sandbox hostile provider',
    categories: ['sandbox'],
    api: { base_url: `${url}/api`, probe: { method: 'GET', path: '/me' }, account: '/id' },
    methods: {
      web: { ...endpoints, grant: 'authorization_code', authorization_endpoint: `${url}/authorize` },
      machine: { ...endpoints, grant: 'client_credentials' },
    },
  };
  return JSON.stringify(definition, null, 2);
}

export async function startHostile({ redirectUris }: { redirectUris: readonly string[] }): Promise<{ provider: SandboxHostile; listener: Listener }> {
  const listener = await listen();
  const { url } = listener;
  const switches: HostileSwitches = { answers: [tokenAnswer({ refresh_token: 'rt-1' })] };
  const counters: HostileCounters = { authorize: 0, token_requests: 0 };
  const registered = new Set(redirectUris);
  const seen: SeenRequest[] = [];

  const nextAnswer = (): Answer => {
    const [first, second, ...more] = switches.answers;
    if (second !== undefined) switches.answers = [second, ...more];
    return first;
  };

  listener.handle(async (request, response, later) => {
    const { pathname, searchParams } = targetOf(request, url);
    if (pathname === '/authorize') {
      counters.authorize += 1;
      const redirectUri = searchParams.get('redirect_uri') ?? '';
      if (!registered.has(redirectUri)) return answerPage(response, 400, page('This redirect URI is not registered', ''));
      const state = searchParams.get('state');
      return redirectTo(response, withParams(redirectUri, { code: `code-${counters.authorize}`, ...(state === null ? {} : { state }) }));
    }
    if (pathname !== '/token') return answerJson(response, 200, { id: 'nobody' });

    counters.token_requests += 1;
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    seen.push({ method: request.method ?? '', target: request.url ?? '', headers, body: await readBody(request) });
    if (seen.length > 100) seen.shift();
    nextAnswer()(response, later);
  });

  const provider: SandboxHostile = {
    url,
    definition: definitionOf(url),
    client: { client_id: 'sandbox-hostile-app', client_secret: 'hostile-secret' },
    registerRedirectUri: (uri) => void registered.add(uri),
    switches,
    counters,
    answerWith: (...answers) => {
      switches.answers = answers;
    },
    seen,
  };
  return { provider, listener };
}
