import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { apiOf } from '../../src/protocol/definition/api.ts';
import type { Definition, Method } from '../../src/protocol/definition/schema.ts';
import type { Door } from '../../src/protocol/door.ts';
import { accountAnswer, applicationTokenAnswer, requestTokenAnswer, secondAnswer, tokenAnswer, type Written } from './answers.ts';

/**
 * A provider made from its definition: a real server that answers in the shape that the definition describes, and records what it is sent.
 * The broker's own door calls it; only the address is another one: `https://host/path` becomes `http://127.0.0.1:port/host/path`.
 */

/** `answer`: the body that it was answered with. */
export type Recorded = { step: string; method: string; url: string; headers: Record<string, string>; body: string; answer?: string };
/** What the broker is at; the same address may serve several steps. */
export type Phase = 'connect' | 'refresh' | 'probe' | 'end';

type Playing = { definition: Definition; method: Method; requestToken: string; phase: Phase; recorded: Recorded[] };

export type ProviderServer = {
  /** Begins with another provider; `requestToken` is what OAuth 1.0a would give. */
  play(definition: Definition, method: Method, requestToken: string): void;
  enter(phase: Phase): void;
  /** What came since `play`. */
  recorded(): readonly Recorded[];
  /** The door that leads here. */
  through(door: Door): Door;
  stop(): Promise<void>;
};

/** Headers that say nothing of the provider. */
const plumbing = new Set(['host', 'connection', 'content-length', 'accept-encoding', 'user-agent', 'transfer-encoding']);

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** True when the address is one that the template makes. */
function isMadeBy(template: string | undefined, url: string): boolean {
  if (template === undefined) return false;
  const [literal = ''] = template.split('?', 1);
  const pattern = literal.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^{}]*\}/g, '.*');
  return new RegExp(`^${pattern}$`).test(url.split('?', 1)[0] ?? '');
}

/** The call after the exchange that it is, if it was not made already: the probe may have the same address. */
function callAfter({ definition, method, recorded }: Playing, url: string): Method['after'][number] | undefined {
  const { base_url, token } = apiOf(definition, method);
  const base = (base_url ?? '').replace(/\/+$/, '') + (token.in === 'path' ? `/${token.prefix ?? ''}{token}` : '');
  const call = method.after.find(({ path }) => isMadeBy(path.startsWith('/') ? base + path : path, url));
  return recorded.some((each) => each.step === afterStep && each.url === url) ? undefined : call;
}
const afterStep = 'call after the exchange';

function stepOf(playing: Playing, url: string, { authorization = '' }: IncomingMessage['headers']): string {
  const { method, phase, recorded } = playing;
  if (isMadeBy('application_token' in method ? method.application_token?.endpoint : undefined, url)) return 'application token';
  if (phase === 'refresh') return 'refresh request';
  if (phase === 'end') return 'revocation';
  if (phase === 'probe') return 'probe';
  if (method.grant === 'oauth1') {
    // Some have one address for both.
    if (authorization.includes('oauth_token=')) return isMadeBy(method.access_token_endpoint, url) ? 'access token' : 'probe';
    return 'request token';
  }
  if ('second_exchange' in method && isMadeBy(method.second_exchange?.endpoint, url) && recorded.some(({ step }) => step === 'token request'))
    return 'second exchange';
  // The API may have the same address.
  const hasToken = recorded.some(({ step }) => step === 'token request');
  if ('token_endpoint' in method && isMadeBy(method.token_endpoint, url) && !hasToken) return 'token request';
  return callAfter(playing, url) === undefined ? 'probe' : afterStep;
}

function answerTo(step: string, { definition, method, requestToken }: Playing, keep: Readonly<Record<string, string>>): Written {
  if (step === 'request token' || step === 'access token') return requestTokenAnswer(step, { definition, method, requestToken });
  if (step === 'token request' || step === 'refresh request')
    return tokenAnswer(definition, method, step === 'refresh request' ? 'refresh' : 'exchange');
  if (step === 'application token') return applicationTokenAnswer(method);
  if (step === 'second exchange') return secondAnswer(definition, method);
  return step === 'probe' || step === afterStep ? accountAnswer(definition, method, keep) : { type: 'application/json', body: '{}' };
}

export async function startProviderServer(): Promise<ProviderServer> {
  let playing: Playing | undefined;
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    if (playing === undefined) throw new Error('No provider is played.');
    const url = `https:/${request.url}`;
    const step = stepOf(playing, url, request.headers);
    const keep = step === afterStep ? (callAfter(playing, url)?.keep ?? {}) : {};
    const headers = Object.entries(request.headers).flatMap(([name, value]) => (plumbing.has(name) ? [] : [[name, String(value)]]));
    const answer = answerTo(step, playing, keep);
    playing.recorded.push({ step, method: request.method ?? '', url, headers: Object.fromEntries(headers), body, answer: answer.body });
    response.writeHead(200, { 'content-type': answer.type }).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    play(definition, method, requestToken) {
      playing = { definition, method, requestToken, phase: 'connect', recorded: [] };
    },
    enter(phase) {
      if (playing !== undefined) playing.phase = phase;
    },
    recorded: () => playing?.recorded ?? [],
    through: (door) => (request) => {
      const { protocol, host } = new URL(request.url);
      if (protocol !== 'https:') throw new Error(`${request.url} is not https.`);
      return door({ ...request, url: `http://127.0.0.1:${port}/${host}${request.url.slice(`https://${host}`.length)}` });
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
