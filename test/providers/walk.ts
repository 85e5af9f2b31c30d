import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { type Presentation, presentedCall } from '../../src/client/client.ts';
import { clientNeeds } from '../../src/protocol/client-authentication.ts';
import { apiOf } from '../../src/protocol/definition/api.ts';
import { chosenValues } from '../../src/protocol/definition/choices.ts';
import type { AuthorizationCodeMethod, Definition, Method } from '../../src/protocol/definition/schema.ts';
import { claimsOf } from '../../src/protocol/definition/variables.ts';
import { canRefresh } from '../../src/protocol/refreshable.ts';
import { expandText } from '../../src/protocol/template.ts';
import { createBrowser, type Page } from '../../src/sandbox/browser.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { account, scopesAsked, tokens } from './answers.ts';
import { sampleInputs } from './inputs.ts';
import { startProviderServer } from './provider-server.ts';
import { written } from './record.ts';

/** One method of a definition from the link to the revocation, through the real broker, and a record of all that was sent. */

const client = { client_id: 'client', client_secret: 'se/cret+1' };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const private_key_jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256' };

type Token = {
  access_token?: string;
  oauth_token?: string;
  username?: string;
  expires_at: string | null;
  extras: Record<string, string>;
  scopes: string[];
  missing_scopes: string[];
  present: Presentation | null;
};
/** `once`: in all that a provider gives only once. */
type Run = { definition: Definition; name: string; method: Method; once: string; inputs: Record<string, string> };

/** What a method has to be registered with, and no more. */
function registrationOf(method: Method): Record<string, unknown> {
  if (method.grant === 'api_key' || method.grant === 'basic') return {};
  const needs = clientNeeds(method);
  return { client_id: client.client_id, ...(needs.key && { private_key_jwk }), ...(needs.secret && { client_secret: client.client_secret }) };
}

export type Stage = { walk(definition: Definition, name: string): Promise<string>; stop(): Promise<void> };

export async function startStage(): Promise<Stage> {
  const server = await startProviderServer();
  const broker = await startTestBroker({ adapt: (world) => ({ ...world, door: server.through(world.door) }), env: { LOG_LEVEL: 'fatal' } });
  return {
    async walk(definition, name) {
      const method = definition.methods[name];
      const { shipped } = broker.broker.world;
      if (method === undefined || !(shipped instanceof Map)) throw new Error(`There is no method ${name}.`);
      shipped.set(definition.id, definition);
      const once = randomUUID();
      server.play(definition, method, `request-token-${once}`);
      return walkOne(broker, server, { definition, name, method, once });
    },
    async stop() {
      await broker.stop();
      await server.stop();
    },
  };
}

type Server = Awaited<ReturnType<typeof startProviderServer>>;

async function walkOne(
  broker: TestBroker,
  server: Server,
  { definition, name, method, once }: Pick<Run, 'definition' | 'name' | 'method' | 'once'>,
): Promise<string> {
  const { root } = broker;
  const inputs = sampleInputs(definition, method);
  const integration = `i-${once}`;
  const run: Run = { definition, name, method, once, inputs: { ...inputs.integration, ...inputs.connection, ...inputs.callback } };
  const body = {
    id: integration,
    provider: definition.id,
    method: name,
    inputs: inputs.integration,
    ...registrationOf(method),
    ...(scopesAsked(method).length > 0 && { scopes: scopesAsked(method) }),
  };
  const { redirect_uri } = await root.call<{ redirect_uri: string | null }>('POST', '/v1/integrations', { body });
  const end_user = { id: 'u1', display_name: 'Ada' };
  const record: string[] = [];
  const masks: [RegExp, string][] = [
    [/https?:\/\/localhost:\d+\/oauth\/callback[^\s,]*/g, '<redirect_uri>'],
    [new RegExp(`(?:code|request-token)-${once}`, 'g'), '<once>'],
  ];

  let connection: string;
  if (method.grant === 'authorization_code' || method.grant === 'oauth1') {
    const link = await root.createConnectLink({ integration, end_user, inputs: inputs.connection });
    const authorization = await throughBrowser(run, link.url, () => callbackOf(server) ?? redirect_uri ?? '');
    record.push(written('authorization', { method: 'GET', url: authorization, headers: {}, body: '' }, masks));
    const { status, error, connection_id } = await root.getConnectLink(link.id);
    expect({ status, error }).toEqual({ status: 'connected', error: null });
    connection = connection_id ?? '';
  } else {
    const made = await root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration, end_user, grant: method.grant, inputs: inputs.connection },
    });
    connection = made.id;
  }

  const first = await root.call<Token>('GET', `/v1/connections/${connection}/token`);
  expectToken(method, first, 'exchange');
  server.enter('probe');
  if (apiOf(definition, method).probe !== undefined && isProbed(definition, name)) {
    expect(await root.call('POST', `/v1/connections/${connection}/probe`)).toMatchObject({ outcome: 'works' });
  }
  const presentation = await present(broker, run, { connection, token: first });
  if (renews(method)) {
    server.enter('refresh');
    const { last_error } = await root.call<{ last_error: unknown }>('POST', `/v1/connections/${connection}/refresh`);
    expect(last_error).toBeNull();
    expectToken(method, await root.call<Token>('GET', `/v1/connections/${connection}/token`), 'refresh');
  }
  if (claimsOf(method)?.account !== undefined) expect(await root.call('GET', `/v1/connections/${connection}`)).toMatchObject({ account });
  server.enter('end');
  await root.call('DELETE', `/v1/connections/${connection}`);
  const sent = server.recorded();
  const revocable = 'revocation_endpoint' in method && method.revocation_endpoint !== undefined;
  // How many there are is in the snapshot: by the RFC one for each token.
  expect(sent.some(({ step }) => step === 'revocation')).toBe(revocable);
  // The probe of a connect and the one that was asked for are the same request.
  const distinct = sent.filter((each, index) => each.step !== 'probe' || sent.findIndex(({ step }) => step === 'probe') === index);
  record.push(...distinct.map((request) => written(request.step, request, masks)), presentation);
  return record.join('\n');
}

const isProbed = (definition: Definition, name: string): boolean => {
  const probe = apiOf(definition, definition.methods[name] ?? {}).probe;
  return probe !== undefined && (probe.methods === undefined || probe.methods.includes(name));
};

const renews = (method: Method): boolean => canRefresh(method, method.grant === 'authorization_code' ? { refresh_token: 'rt' } : {});

function expectToken(method: Method, token: Token, step: keyof typeof tokens): void {
  switch (method.grant) {
    case 'oauth1':
      if (method.response.api_key !== undefined) expect(token).toMatchObject({ token_type: 'api_key', present: { value: expect.any(String) } });
      else expect(token).toMatchObject({ oauth_token: tokens[step].access_token, oauth_consumer_key: client.client_id, present: null });
      break;
    case 'api_key':
    case 'basic':
      expect(token.present).toMatchObject({ value: expect.any(String) });
      break;
    default:
      expect(token).toMatchObject({ access_token: tokens[step].access_token, missing_scopes: [] });
      expect(token.present?.value).toContain(tokens[step].access_token);
  }
}

/** Opens the link, goes on, and comes back as the provider would send the person back. Returns the address that the browser was sent to. */
async function throughBrowser(run: Run, link: string, redirectUri: () => string): Promise<string> {
  const browser = createBrowser();
  const page = await browser.open(link);
  expect(page.status).toBe(200);
  const left = await page.submit({}, undefined, { stopBefore: 'https://' });
  if (run.method.grant === 'oauth1' && run.method.callback.mode === 'oob') {
    const needsPin = run.method.callback.verifier === 'required';
    const authorization = /href="(https:[^"]+)"/.exec(left.html)?.[1] ?? '';
    expectEnd(await left.submit(needsPin ? { verifier: 'verifier-1' } : {}));
    return authorization.replaceAll('&amp;', '&');
  }
  const authorization = left.location ?? '';
  if (authorization === '') throw new Error(`The browser was not sent on: ${left.text}`);
  const back = answerTo(run, new URL(authorization), redirectUri());
  const isPosted = run.method.grant === 'authorization_code' && run.method.callback.response_mode === 'form_post';
  const arrived = isPosted ? await posted(back) : back;
  const asked = await browser.open(arrived.href);
  expectEnd(asked.title.includes('Connect this account?') ? await asked.submit({}, 'confirm') : asked);
  return authorization;
}

function expectEnd(page: Page): void {
  if (!page.title.includes('is connected')) throw new Error(`The flow ended otherwise: ${page.title}: ${page.text}`);
}

/** A form of the provider's page: the broker sends the browser on to the same parameters by GET. */
async function posted(back: URL): Promise<URL> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await fetch(`${back.origin}${back.pathname}`, { method: 'POST', headers, body: back.search.slice(1), redirect: 'manual' });
  return new URL(answer.headers.get('location') ?? 'about:blank', back);
}

/** OAuth 1.0a: the callback that the request token was asked for with. */
function callbackOf(server: Server): string | undefined {
  const asked = server.recorded().find(({ step }) => step === 'request token')?.headers['authorization'];
  const callback = /oauth_callback="([^"]*)"/.exec(asked ?? '')?.[1];
  return callback === undefined ? undefined : decodeURIComponent(callback);
}

/** The callback with which this provider sends the browser back. */
function answerTo({ definition, method, once, inputs }: Run, authorization: URL, redirectUri: string): URL {
  const back = new URL(redirectUri);
  const params = back.searchParams;
  if (method.grant === 'oauth1') {
    params.set('oauth_token', `request-token-${once}`);
    if (method.callback.verifier === 'required') params.set('oauth_verifier', 'verifier-1');
    for (const name of method.callback.keep) params.set(name, `kept-${name}`);
    return back;
  }
  if (method.grant !== 'authorization_code') throw new Error('This method has no callback.');
  const { callback, authorization: request, issuer } = method;
  params.set(callback.code, `code-${once}`);
  const state = authorization.searchParams.get(request.rename['state'] ?? 'state');
  if (callback.state === 'echoed' && state !== null) params.set('state', state);
  if (issuer !== undefined && method.iss_parameter === 'required') params.set('iss', filled(issuer, definition, method, inputs));
  for (const name of callback.keep) if (!params.has(name)) params.set(name, `kept-${name}`);
  if (callback.scope !== undefined) params.set(callback.scope, scopesAsked(method).join(method.scopes.separator));
  for (const [name, { param, before, behind }] of Object.entries(callback.inputs)) params.set(param, `${before}${inputs[name]}${behind}`);
  sign(params, callback);
  return back;
}

function sign(params: URLSearchParams, { signature }: AuthorizationCodeMethod['callback']): void {
  if (signature === undefined) return;
  const message = [...params].map(([name, value]) => `${name}=${value}`).sort();
  params.set(signature.param, createHmac('sha256', client.client_secret).update(message.join('&')).digest('hex'));
}

const filled = (template: string, definition: Definition, method: Method, values: Record<string, string>): string =>
  expandText(template, { client_id: client.client_id, ...chosenValues({ ...definition.inputs, ...method.inputs }, values), ...values });

/** A call of the provider's API, as a worker would be told to make it. */
async function present({ root }: TestBroker, run: Run, { connection, token }: { connection: string; token: Token }): Promise<string> {
  const { definition, method } = run;
  if (method.grant === 'oauth1' && method.signature_method === 'PLAINTEXT')
    return 'API call\n  not signed for workers: a PLAINTEXT signature is the secret itself';
  const kept = Object.fromEntries(Object.entries(token.extras).map(([name, value]) => [`extras.${name}`, value]));
  const base = apiOf(definition, method).base_url ?? 'https://api.provider-sandbox.com';
  const at = filled(base, definition, method, { ...run.inputs, ...kept }).replace(/\/+$/, '');
  const url = `${at}/call`;
  const request = await root.call<{ url: string; headers: Record<string, string> }>('POST', `/v1/connections/${connection}/sign`, {
    body: { method: 'GET', url },
  });
  // The same from the token answer alone, where more than a header says who calls.
  if (token.present?.in === 'path') expect(request.url).toBe(presentedCall(token.present, { base: at, path: '/call' }).url);
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]));
  return written('API call', { method: 'GET', url: request.url, headers, body: '' }, []);
}
