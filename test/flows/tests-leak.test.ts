import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Scene, startScene } from './scene.ts';

/** No secret is in a trace, whatever the provider does with what it got: this one echoes everything everywhere, in every encoding. */

const mark = (name: string) => `s3cr/t+${name}=zQ9~`;
const secrets = {
  client: mark('client'),
  further: mark('further'),
  access: mark('access').replace(/[+~]/g, '.'),
  inner: mark('inner'),
  refresh: mark('refresh').replace(/[+~]/g, '.'),
  tokenSecret: mark('token-secret').replace(/[+~]/g, '.'),
  code: mark('code'),
  key: mark('api-key'),
  password: mark('password'),
  requestSecret: mark('request-secret').replace(/[+~]/g, '.'),
  verifier: mark('verifier'),
};

/** Each text as somebody might write it. */
function encodings(text: string): string[] {
  const bytes = Buffer.from(text);
  const spliced = [0, 1, 2].map((n) => Buffer.from(`${'x'.repeat(n)}${text}`).toString('base64'));
  const url = encodeURIComponent(text);
  return [
    text,
    url,
    url.toLowerCase(),
    encodeURIComponent(url),
    JSON.stringify(text).slice(1, -1),
    text.replaceAll('/', '\\/'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    ...spliced,
  ];
}

/** What of a text's encodings must not be found: base64 without the characters that the neighbours decide. */
const needles = (text: string) => [...new Set(encodings(text).map((form) => (form.length > 12 ? form.slice(4, -4) : form)))];

let scene: Scene;
let server: Server;
let url: string;
let format: 'json' | 'form' = 'json';
/** Of an OAuth 1.0a callback, as the provider got it. */
let callbackGot = '';

function document(received: string): Record<string, unknown> {
  const known = Object.values(secrets).flatMap(encodings);
  const echoes = Object.fromEntries(known.map((form, n) => [`echo_${n}`, form]));
  return {
    access_token: secrets.access,
    refresh_token: secrets.refresh,
    oauth_token: secrets.access,
    oauth_token_secret: received.includes('oauth_verifier') ? secrets.tokenSecret : secrets.requestSecret,
    oauth_callback_confirmed: 'true',
    token_type: 'Bearer',
    expires_in: 3600,
    scope: encodings(secrets.client)
      .filter((form) => !form.includes(' '))
      .join(' '),
    kept: Buffer.from(secrets.client).toString('base64'),
    received,
    [secrets.client]: 'as a name',
    ...(format === 'json' ? { nested: { deep: [{ received, inner: secrets.inner }], ...echoes } } : {}),
    ...echoes,
  };
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const received = JSON.stringify([request.url, request.headers, Buffer.concat(chunks).toString()]);
      callbackGot = /oauth_callback="([^"]+)"/.exec(request.headers.authorization ?? '')?.[1] ?? callbackGot;
      const failing = request.url?.startsWith('/failing') === true;
      const held = failing ? { ...document(received), error: secrets.client, error_description: received } : document(received);
      const body =
        format === 'json' ? JSON.stringify(held) : new URLSearchParams(Object.entries(held).map(([name, value]) => [name, String(value)])).toString();
      response.writeHead(failing ? 400 : 200, {
        'content-type': `application/${Buffer.from(secrets.client).toString('hex')}`,
        'retry-after': secrets.client,
      });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  scene = await startScene();
}, 60_000);
afterAll(async () => {
  await scene?.stop();
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
});

const key = { label: 'Key', secret: true };
const web = (more: Record<string, unknown> = {}) => ({
  grant: 'authorization_code',
  authorization_endpoint: '{url}/authorize',
  token_endpoint: '{url}/token',
  revocation_endpoint: '{url}/revoke',
  token_endpoint_auth_method: 'client_secret_post',
  response: { keep: { kept: '/kept' } },
  ...more,
});
const methods: Record<string, { method: Record<string, unknown>; fields?: Record<string, string>; format?: 'form' }> = {
  post: { method: web() },
  basic: { method: web({ token_endpoint_auth_method: 'client_secret_basic' }) },
  json: { method: web({ token: { format: 'json' } }) },
  query: { method: web({ token: { format: 'query', method: 'GET' } }) },
  'in-path': {
    method: web({
      api: { token: { in: 'path', prefix: 'bot' } },
      after: [{ path: '/me' }],
      revocation: { format: 'none', authentication: 'access_token' },
      // The token is not where the standard has it.
      response: { within: '/nested/deep/0', access_token: '/inner', token_type: 'none', keep: { kept: '/kept' } },
      revocation_endpoint: '{url}/api/revoke',
    }),
  },
  'short-in-path': {
    method: { grant: 'api_key', inputs: { api_key: key }, api: { token: { in: 'path', prefix: 'bot' } } },
    fields: { api_key: 's3c.t' },
  },
  renamed: { method: web({ token: { rename: { client_secret: 'app_key', code: 'grant' } } }) },
  failing: { method: web({ token_endpoint: '{url}/failing' }) },
  form: { method: web({ response: { format: 'form', token_type_required: false } }), format: 'form' },
  machine: { method: { grant: 'client_credentials', token_endpoint: '{url}/token', revocation_endpoint: '{url}/revoke' } },
  exchange: {
    method: { grant: 'credential_exchange', token_endpoint: '{url}/token', inputs: { api_key: key }, token: { params: { user_key: '{api_key}' } } },
    fields: { api_key: secrets.key },
  },
  key: { method: { grant: 'api_key', inputs: { api_key: key } }, fields: { api_key: secrets.key } },
  login: {
    method: { grant: 'basic', inputs: { username: { label: 'User' }, password: { label: 'Password', secret: true } } },
    fields: { username: 'ada', password: secrets.password },
  },
  hmac: {
    method: { grant: 'oauth1', request_token_endpoint: '{url}/rt', authorization_endpoint: '{url}/authorize', access_token_endpoint: '{url}/at' },
    format: 'form',
  },
};

const filled = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll('{url}', url));

async function integrate(id: string, method: Record<string, unknown>) {
  const definition = {
    id: `leak-${id}`,
    name: 'Leaking',
    api: { base_url: `${url}/api`, headers: { 'X-Client': '{client_id}' }, probe: { path: '/me' } },
    methods: { [id]: filled(method) },
  };
  await scene.root.call('PUT', `/v1/providers/leak-${id}`, { body: JSON.stringify(definition) });
  const own = method.grant === 'api_key' || method.grant === 'basic' ? {} : { client_id: 'public-client' };
  const secret = 'client_id' in own ? { client_secrets: method.grant === 'oauth1' ? [secrets.client] : [secrets.client, secrets.further] } : {};
  await scene.root.call('POST', '/v1/integrations', { body: { id: `leak-${id}`, provider: `leak-${id}`, ...own, ...secret } });
}

test.each(Object.entries(methods))(
  '%s: the provider echoes everything, and no secret is shown',
  async (id, { method, fields = {}, format: written }) => {
    format = written ?? 'json';
    await integrate(id, method);
    const made = await scene.root.call<{ id: string; url: string; trace: string }>('POST', `/v1/integrations/leak-${id}/test`, { body: {} });
    const browser = createBrowser();
    const page = await browser.open(made.url);
    const left = await page.submit(fields, undefined, { stopBefore: `${url}/authorize` });
    const row = await scene.row(made);
    const asked = method.grant === 'oauth1' ? decodeURIComponent(callbackGot) : (left.location ?? url);
    const state = new URL(asked).searchParams.get('state') ?? '';
    if (left.location !== undefined) {
      const callback = new URL(row.redirect_uri);
      const answer = method.grant === 'oauth1' ? { oauth_token: secrets.access, oauth_verifier: secrets.verifier } : { code: `${secrets.code}${id}` };
      for (const [name, value] of Object.entries({ ...answer, echo: secrets.client })) callback.searchParams.set(name, value);
      if (state !== '') callback.searchParams.set('state', state);
      await scene.visit(callback, browser);
    }
    const trace = await scene.root.call<{ status: string; steps: { step: string; outcome: string; what: string }[] }>('GET', made.trace);
    const ended = id === 'failing' ? 'failed' : 'connected';
    expect([trace.status, trace.steps.map(({ step, what }) => `${step}: ${what}`)]).toEqual([ended, expect.any(Array)]);
    expect(trace.steps.map(({ step }) => step)).toEqual(expect.arrayContaining(['page', 'understood']));

    const rows = await scene.sql<{ text: string }>('select step::text as text from test_steps where link_id = $1', [made.id]);
    const links = await scene.sql<{ text: string }>('select to_jsonb(l)::text as text from connect_links l where id = $1', [made.id]);
    const told = [JSON.stringify(trace), ...rows.map(({ text }) => text), ...links.map(({ text }) => text)].join('\n');
    const given = [
      ['state', state],
      ['key', fields.api_key ?? ''],
    ] as const;
    const found = [...Object.entries(secrets), ...given.filter(([, value]) => value !== '')].flatMap(([name, value]) =>
      needles(value)
        .filter((needle) => told.includes(needle))
        .map((needle) => `${name}: ${needle}`),
    );
    expect(found).toEqual([]);
  },
);
