import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { escapeHtml } from '../../src/sandbox/page.ts';
import type { Markers } from './markers.ts';

/**
 * Every provider, receiver and website of the test, each below a path of its own. It tells whatever it was sent to whoever asks: in bodies,
 * headers, error codes and descriptions. What it was sent is kept.
 */

export type Manner = 'well' | 'refuses' | 'refuses the client' | 'garbage' | 'error page' | 'redirects' | 'cuts' | 'odd token' | 'denies' | 'waits';
export type Heard = { owner: string; text: string; referer: string };
export type Talker = {
  url: string;
  heard: Heard[];
  /** From now on `owner` answers at `/owner/<what>` in this manner. */
  answers(owner: string, what: string, manner: Manner): void;
  /** Where `owner` sends browsers back to when nobody says so. */
  registers(owner: string, redirectUri: string): void;
  /** Called when a request that waits has come; it is answered when that ends. */
  onWaiting: () => Promise<void>;
  stop(): Promise<void>;
};

type Exchange = {
  owner: string;
  what: string;
  url: URL;
  params: URLSearchParams;
  received: string;
  request: IncomingMessage;
  response: ServerResponse;
};

const jwt = (owner: string, last: string) =>
  [{ alg: 'RS256' }, { sub: 'ada', aud: `client-of-${owner}`, exp: Math.floor(Date.now() / 1000) + 3_600 }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat(last)
    .join('.');

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

function paramsOf(url: URL, body: string, type: string): URLSearchParams {
  const params = new URLSearchParams(url.search);
  const given = type.includes('json') ? Object.entries(JSON.parse(body)) : [...new URLSearchParams(type.includes('form') ? body : '')];
  for (const [name, value] of given) params.append(name, String(value));
  return params;
}

export async function startTalker(markers: Markers, secretOf: (owner: string) => string): Promise<Talker> {
  const heard: Heard[] = [];
  const manners = new Map<string, Manner>();
  const callbacks = new Map<string, string>();
  const { make, note } = markers;

  function goBack({ owner, params, response }: Exchange, manner: Manner): void {
    if (callbacks.get(params.get('oauth_token') ?? '') === 'oob')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end(`<code>${make('oauth verifier', owner)}</code>`);
    const target = new URL(callbacks.get(params.get('oauth_token') ?? '') ?? params.get('redirect_uri') ?? callbacks.get(owner) ?? '');
    if (params.has('state')) {
      note('state', owner, params.get('state'));
      target.searchParams.set('state', params.get('state') ?? '');
    } else if (target.searchParams.has('state')) note('state', owner, target.searchParams.get('state'));
    const told: Record<string, string> =
      manner === 'denies'
        ? { error: 'access_denied', error_description: make('code', owner), code: make('code', owner) }
        : params.has('oauth_token')
          ? { oauth_token: params.get('oauth_token') ?? '', oauth_verifier: make('oauth verifier', owner) }
          : { code: make('code', owner, 'ascii'), further: make('id token', owner) };
    for (const [name, value] of Object.entries(told)) target.searchParams.set(name, value);
    if (owner === 'signed') {
      const pairs = [...target.searchParams].map(([name, value]) => `${name}=${value}`).sort();
      const signature = createHmac('sha256', secretOf(owner)).update(pairs.join('&')).digest('hex');
      note('callback signature', owner, signature);
      target.searchParams.set('hmac', signature);
    }
    if (owner !== 'posted') return void response.writeHead(303, { location: target.href }).end();
    const fields = [...target.searchParams].map(([name, value]) => `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`);
    target.search = '';
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end(`<form method="post" action="${target.href}">${fields.join('')}<button>Go</button></form>`);
  }

  const credential = (owner: string) => ({
    access_token: make('access token', owner),
    refresh_token: make('refresh token', owner),
    token_type: 'Bearer',
    expires_in: 3600,
    scope: 'read',
  });

  function document({ owner, what, received }: Exchange): Record<string, unknown> {
    const id_token = jwt(owner, make('id token', owner, 'plain'));
    note('id token', owner, id_token);
    const first = owner === 'chain' && what === 'token' ? { access_token: make('first token', owner), token_type: 'Bearer' } : credential(owner);
    return { ...first, id_token, received, id: 'ada', nested: { received: [received] } };
  }

  function temporary({ owner, request, response }: Exchange): void {
    const [token, secret] = [make('temporary token', owner), make('temporary secret', owner)];
    const callback = decodeURIComponent(/oauth_callback="([^"]+)"/.exec(request.headers.authorization ?? '')?.[1] ?? '');
    callbacks.set(token, callback);
    answerForm(response, { oauth_token: token, oauth_token_secret: secret, oauth_callback_confirmed: 'true' });
  }

  const answerForm = (response: ServerResponse, values: Record<string, string>) =>
    response.writeHead(200, { 'content-type': 'application/x-www-form-urlencoded' }).end(new URLSearchParams(values).toString());

  function answerWell(exchange: Exchange): void {
    const { owner, what, response, received } = exchange;
    if (what === 'rt') return temporary(exchange);
    if (what === 'at') {
      answerForm(response, { oauth_token: make('oauth token', owner), oauth_token_secret: make('oauth token secret', owner), received });
      return;
    }
    const isToken = what === 'token' || what === 'second';
    const body =
      what === 'application' ? { access_token: make('first token', owner), received } : isToken ? document(exchange) : { id: 'ada', received };
    response.writeHead(200, { 'content-type': 'application/json', 'x-received': encodeURIComponent(received) }).end(JSON.stringify(body));
  }

  async function answer(exchange: Exchange, manner: Manner): Promise<void> {
    const { owner, what, response, received } = exchange;
    if (what === 'authorize') return goBack(exchange, manner);
    const echoed = { error_description: received, error_uri: received, ...(what === 'token' ? document(exchange) : { received }) };
    const headers = { 'content-type': 'application/json', 'www-authenticate': `Bearer error="${encodeURIComponent(received)}"`, 'retry-after': 'x' };
    switch (manner) {
      case 'refuses':
        return void response.writeHead(400, headers).end(JSON.stringify({ ...echoed, error: 'invalid_grant' }));
      case 'refuses the client':
        return void response.writeHead(401, headers).end(JSON.stringify({ ...echoed, error: 'invalid_client' }));
      case 'garbage':
        return void response.writeHead(200, headers).end(`\u0001{"access_token": "${make('access token', owner)}", ${received}`);
      case 'error page':
        return void response.writeHead(500, { 'content-type': 'text/html' }).end(`<pre>${received} ${JSON.stringify(echoed)}</pre>`);
      case 'redirects':
        return void response.writeHead(302, { location: `/elsewhere/${encodeURIComponent(received)}` }).end(received);
      case 'cuts':
        response.writeHead(200, { ...headers, 'content-length': '100000' });
        return void response.write(JSON.stringify(echoed), () => response.destroy());
      case 'odd token':
        return void response
          .writeHead(200, headers)
          .end(JSON.stringify({ ...echoed, access_token: `${make('access token', owner)}\r\nX: ${received}` }));
      case 'waits':
        await talker.onWaiting();
        return answerWell(exchange);
      default:
        return answerWell(exchange);
    }
  }

  /** What it publishes of itself (RFC 8414). */
  function publish({ pathname }: URL, received: string, response: ServerResponse): void {
    const issuer = talker.url + pathname.replace(/^\/\.well-known\/[^/]+/, '');
    const metadata = { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, response_types_supported: ['code'] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...metadata, scopes_supported: ['read'], received }));
  }

  const server = createServer({ maxHeaderSize: 65_536 }, async (request, response) => {
    const url = new URL(request.url ?? '/', talker.url);
    const body = await bodyOf(request).catch(() => '');
    const [, owner = '', what = ''] = url.pathname.split('/');
    const { authorization, referer = '', 'content-type': type = '' } = request.headers;
    const received = JSON.stringify([request.method, request.url, request.headers, body]);
    heard.push({ owner, text: received, referer });
    if (owner === '.well-known') return publish(url, received, response);
    const params = paramsOf(url, body, type);
    if (authorization !== undefined) note('authorization header', owner, authorization);
    if (params.has('code_verifier')) note('verifier', owner, params.get('code_verifier'));
    if (params.has('assertion')) note('client assertion', owner, params.get('assertion'));
    if (params.has('client_assertion')) note('client assertion', owner, params.get('client_assertion'));
    await answer({ owner, what, url, params, received, request, response }, manners.get(`${owner} ${what}`) ?? 'well');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const talker: Talker = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    answers(owner, what, manner) {
      manners.set(`${owner} ${what}`, manner);
    },
    registers: (owner, redirectUri) => void callbacks.set(owner, redirectUri),
    onWaiting: async () => {},
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return talker;
}
