import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import type { Stage } from './stage.ts';

/** Secrets where they do not belong: in paths, queries, headers, bodies of the wrong shape, and in what is no HTTP at all. */

async function raw({ broker, recorder }: Stage, text: string): Promise<void> {
  const { hostname, port } = new URL(broker.url);
  const socket = connectSocket(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.end(text);
  await once(socket, 'close');
  recorder.answers.push({ method: 'RAW', path: '', status: 0, bytes: Buffer.concat(chunks) });
}

/** Calls of the API by somebody who mixed things up. */
async function misplaced(stage: Stage): Promise<void> {
  const { recorder, markers, env } = stage;
  const root = env.GRANTRY_ROOT_KEY ?? '';
  const lost = () => markers.make('misplaced secret', 'broker');
  const odd = () => encodeURIComponent(markers.make('misplaced secret', 'broker', 'odd'));
  const wrongKey = markers.make('wrong key', 'broker');
  const asRoot = { authorization: `Bearer ${root}` };
  const call = (path: string, init: RequestInit = {}) => fetch(recorder.url + path, { redirect: 'manual', ...init }).then((answer) => answer.text());
  const json = (method: string, body: string, headers: Record<string, string> = asRoot): RequestInit => ({
    method,
    body,
    headers: { ...headers, 'content-type': 'application/json' },
  });

  // In addresses.
  for (const path of [
    `/v1/connections?api_key=${root}`,
    `/v1/connections?limit=${odd()}&cursor=${lost()}`,
    `/v1/connections/${lost()}`,
    `/v1/connections/${lost()}/token`,
    `/v1/connections/${lost()}/token?force=${lost()}`,
    `/v1/connections/${odd()}/events`,
    `/v1/connect-links/${root}`,
    `/v1/providers?q=${lost()}`,
    `/v1/${root}/${lost()}`,
    `/connect/${root}`,
    `/connect/${lost()}/return`,
    `/connect/result/${lost()}`,
    `/connect/%ff${odd()}`,
    `/oauth/callback?code=${lost()}&state=${lost()}`,
    `/oauth/callback?error=${lost()}&error_description=${odd()}&state=${lost()}`,
    `/oauth/callback/${lost()}?oauth_token=${lost()}&oauth_verifier=${lost()}`,
    `/oauth/${lost()}?x=${'y'.repeat(9_000)}`,
    `/${lost()}`,
    `/metrics?key=${root}`,
    `/healthz?key=${root}`,
    `/openapi.json?key=${root}`,
  ]) {
    await call(path, { headers: asRoot });
  }
  // In headers.
  for (const headers of [
    { authorization: `Bearer ${wrongKey}` },
    { authorization: `Bearer grt_${wrongKey}` },
    { authorization: `Basic ${Buffer.from(`x:${lost()}`).toString('base64')}` },
    { authorization: lost() },
    { ...asRoot, 'grantry-project': lost() },
    { ...asRoot, cookie: `grantry=${lost()}; other=${lost()}`, referer: `https://x.example/?token=${lost()}`, 'user-agent': lost() },
    { ...asRoot, 'x-forwarded-for': lost(), forwarded: lost(), traceparent: lost(), 'x-request-id': `${lost()} not harmless` },
  ])
    await Promise.all(['/v1/connections', '/v1/connections/con_0/token', '/connect/x', '/oauth/callback'].map((path) => call(path, { headers })));
  await call('/v1/connections', { headers: { authorization: `Bearer ${wrongKey}` } });
  // In bodies.
  const integration = { id: 'broken', provider: 'post', client_id: 'x', client_secret: lost() };
  for (const [method, path, body] of [
    ['POST', '/v1/integrations', `{"client_secret": "${lost()}`],
    ['POST', '/v1/integrations', JSON.stringify({ ...integration, client_secret: [lost()] })],
    ['POST', '/v1/integrations', JSON.stringify({ ...integration, client_secrets: [lost(), lost()] })],
    ['POST', '/v1/integrations', JSON.stringify({ ...integration, private_key_jwk: { kty: 'RSA', d: lost() } })],
    ['POST', '/v1/integrations', JSON.stringify({ ...integration, provider: 'nowhere' })],
    ['POST', '/v1/integrations', JSON.stringify({ ...integration, inputs: { other: lost() } })],
    ['POST', '/v1/integrations', JSON.stringify({ ...integration, callback: lost() })],
    ['PATCH', '/v1/integrations/post', JSON.stringify({ client_secret: 'x'.repeat(5_000) + lost() })],
    ['POST', '/v1/connections', JSON.stringify({ integration: 'keys', end_user: { id: 'x' }, grant: 'api_key', inputs: { api_key: `${lost()}\n` } })],
    ['POST', '/v1/connections', JSON.stringify({ integration: 'keys', end_user: { id: 'x' }, grant: lost(), inputs: { api_key: lost() } })],
    ['POST', '/v1/connections', JSON.stringify({ integration: 'post', end_user: { id: 'x' }, import: { access_token: `${lost()} ${lost()}` } })],
    ['POST', '/v1/connections', JSON.stringify({ integration: 'post', end_user: { id: 'x' }, import: { access_token: 5, refresh_token: lost() } })],
    ['POST', '/v1/connect-links', JSON.stringify({ integration: 'post', end_user: { id: 'x' }, return_url: `https://${lost()}.example/` })],
    ['POST', '/v1/connect-links', JSON.stringify({ integration: 'keys', end_user: { id: 'x' }, inputs: { api_key: lost(), more: lost() } })],
    ['POST', '/v1/connect-links/lnk_0/confirm', JSON.stringify({ nonce: lost(), end_user_id: 'x' })],
    ['POST', '/v1/webhook-endpoints', JSON.stringify({ url: `https://user:${lost()}@hooks.example/` })],
    ['PUT', '/v1/providers/broken', `{"id": "broken", "client_secret": "${lost()}", "methods": {"x": {"grant": "${lost()}"}}}`],
    ['POST', '/v1/providers/validate', `id: broken\nname: "${lost()}\nmethods: [`],
    ['POST', '/v1/providers/discover', JSON.stringify({ issuer: `http://127.0.0.1:1/?key=${lost()}` })],
    ['POST', '/v1/api-keys', JSON.stringify({ name: 'x', scopes: [lost()] })],
    ['DELETE', '/v1/integrations/post', lost()],
  ] as const) {
    await call(path, json(method, body));
  }
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  await call('/oauth/callback', {
    method: 'POST',
    headers: form,
    body: `code=${markers.make('code', 'broker')}&state=${markers.make('state', 'broker')}`,
  });
  await call(`/connect/${lost()}`, { method: 'POST', headers: form, body: `csrf-token=${lost()}&api_key=${lost()}` });
  await call('/v1/integrations', { method: 'POST', headers: { ...asRoot, ...form }, body: `client_secret=${lost()}` });
  // What is no HTTP.
  await raw(stage, `GET /${lost()} HTTP/9.9\r\nauthorization: Bearer ${lost()}\r\n\r\n`);
  await raw(stage, `${lost()}\r\n\r\n`);
  await raw(stage, `GET /v1/connections HTTP/1.1\r\nhost: x\r\nauthorization: ${lost()}${'x'.repeat(20_000)}\r\n\r\n`);
}

/** A form that is not filled in as it should be, and a link in other hands. */
async function mistyped({ root, markers, recorder }: Stage): Promise<void> {
  const { createBrowser } = await import('../../src/sandbox/browser.ts');
  const link = await root.call<{ url: string }>('POST', '/v1/connect-links', { body: { integration: 'keys', end_user: { id: 'typo' } } });
  markers.note('link token', 'keys', link.url.split('/').at(-1));
  const browser = createBrowser();
  const page = await browser.open(link.url);
  const again = await page.submit({ api_key: `${markers.make('end user secret', 'keys')} with a space and é` });
  markers.note('flow cookie', 'keys', (await browser.cookies.cookiesFor(recorder.url)).grantry);
  markers.note('form token', 'keys', /name="csrf-token" value="([^"]+)"/.exec(again.html)?.[1]);
  await createBrowser().open(link.url);
}

/** A discovery document, a dry run and a definition that hold nothing secret, beside secrets that do exist. */
async function dryRuns({ root, talker }: Stage): Promise<void> {
  const definition = {
    id: 'dry',
    name: 'Dry',
    methods: { web: { grant: 'authorization_code', authorization_endpoint: `${talker.url}/a`, token_endpoint: `${talker.url}/t` } },
  };
  await root.call('POST', '/v1/providers/validate', { body: JSON.stringify(definition) });
  await root.call('POST', '/v1/providers/discover', { body: { issuer: `${talker.url}/post` } });
}

export async function playMisuse(stage: Stage): Promise<void> {
  await Promise.all([misplaced(stage), mistyped(stage), dryRuns(stage)]);
}
