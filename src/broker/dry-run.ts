import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { optionalEndpointUrl } from '../grants/endpoint.ts';
import { grantFor } from '../grants/index.ts';
import { clientNeeds } from '../protocol/client-authentication.ts';
import { apiOf } from '../protocol/definition/api.ts';
import { optionsOf } from '../protocol/definition/choices.ts';
import { completeInputs, declaredInputs } from '../protocol/definition/inputs.ts';
import type { Definition, Method } from '../protocol/definition/schema.ts';
import { claimsOf } from '../protocol/definition/variables.ts';
import type { DoorRequest, DoorResponse } from '../protocol/door.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext, Pending } from '../protocol/grant.ts';
import { refreshHow } from '../protocol/refreshable.ts';
import { sendProbe } from './account.ts';
import { maskOf, secretInput } from './dry-run-masks.ts';
import { grantContext } from './grant-context.ts';
import { learnMore } from './learn-more.ts';
import type { World } from './world.ts';

/**
 * A dry run: the very code that serves flows runs against a door that sends nothing. Every value that would be secret is a
 * word in angle brackets here.
 */

export type ShownRequest = { step: string; method: string; url: string; headers: Record<string, string>; body: string | null };
export type DryRun = { id: string; grant: string; requests: ShownRequest[] };

const placeholder = {
  client_id: 'CLIENT_ID',
  client_secret: 'CLIENT_SECRET',
  code: 'CODE',
  access_token: 'ACCESS_TOKEN',
  refresh_token: 'REFRESH_TOKEN',
  application_token: 'APPLICATION_TOKEN',
};

function putAt(root: Record<string, unknown>, pointer: string, value: unknown): void {
  if (!pointer.startsWith('/')) return;
  const path = pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  let at = root;
  for (const part of path.slice(0, -1)) {
    const inner = at[part];
    const next: Record<string, unknown> = typeof inner === 'object' && inner !== null ? { ...inner } : {};
    at[part] = next;
    at = next;
  }
  at[path.at(-1) ?? ''] = value;
}

function keptValue({ definition, method }: GrantContext, name: string): string {
  if (apiOf(definition, method).base_url?.startsWith(`https://{extras.${name}}`)) return 'api.provider.example.com';
  return /ur[il]|domain|host|endpoint/.test(name) ? 'https://api.provider.example.com' : name.toUpperCase();
}

/** An ID token with what the definition reads, and a signature that is none. */
function cannedIdToken(ctx: GrantContext): string {
  const { account, keep = {} } = claimsOf(ctx.method) ?? {};
  const issuer = 'issuer' in ctx.method ? optionalEndpointUrl(ctx, ctx.method.issuer) : undefined;
  const claims: Record<string, unknown> = { aud: ctx.client.client_id, exp: Math.floor(ctx.now().getTime() / 1000) + 3_600, sub: 'SUBJECT' };
  if (issuer !== undefined) claims['iss'] = issuer;
  for (const [name, pointer] of Object.entries(keep)) putAt(claims, pointer, keptValue(ctx, name));
  if (account !== undefined && account !== '/sub') putAt(claims, account, 'ACCOUNT');
  return [{ alg: 'RS256' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
    .concat('.SIGNATURE');
}

/** An answer as the definition describes it, so that the flow goes on. */
function cannedAnswer(ctx: GrantContext): DoorResponse {
  const { method } = ctx;
  if (method.grant === 'oauth1') {
    return { status: 200, headers: {}, body: 'oauth_token=OAUTH_TOKEN&oauth_token_secret=OAUTH_TOKEN_SECRET&oauth_callback_confirmed=true' };
  }
  if (!('response' in method)) return { status: 200, headers: {}, body: '{}' };
  const answer: Record<string, unknown> = {};
  const put = (pointer: string, value: unknown, within = method.response.within ?? '') =>
    putAt(answer, pointer.startsWith('/') ? `${within}${pointer}` : pointer, value);
  const { response } = method;
  // Some answer a refresh in another shape: one answer has both.
  for (const pointers of [response, { ...response, ...method.refresh.response }]) {
    put(pointers.access_token ?? response.access_token, placeholder.access_token);
    if (refreshHow(method) === 'refresh_token') put(pointers.refresh_token ?? response.refresh_token, placeholder.refresh_token);
    if (response.token_types[0] !== undefined) put(pointers.token_type ?? response.token_type, response.token_types[0]);
  }
  if (response.success !== undefined) put(response.success.pointer, response.success.equals);
  const application = method.application_token?.response;
  if (application !== undefined) put(application.access_token, placeholder.application_token, '');
  if (application?.success !== undefined) put(application.success.pointer, application.success.equals, '');
  const kept = [response.keep, ...method.after.map(({ keep }) => keep)].flatMap((keep) => Object.entries(keep));
  for (const [name, pointer] of kept) put(pointer, keptValue(ctx, name));
  if (claimsOf(method) !== undefined) put('/id_token', cannedIdToken(ctx));
  const body =
    response.format === 'form'
      ? new URLSearchParams(Object.entries(answer).map(([name, value]) => [name, String(value)])).toString()
      : JSON.stringify(answer);
  return { status: 200, headers: { 'content-type': response.format === 'form' ? 'application/x-www-form-urlencoded' : 'application/json' }, body };
}

/** Keys that nobody has, so that what is signed can be shown; the costly one is made once. */
const makeKey = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey;
let rsaKey: KeyObject | undefined;
function makeRsaKey(): KeyObject {
  rsaKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  return rsaKey;
}

/** As the integration would have it. */
function placeholderKey(method: Method): Record<string, unknown> {
  if (method.grant === 'oauth1') return { ...makeRsaKey().export({ format: 'jwk' }), kid: 'KEY' };
  const isRsa = 'token' in method && method.token.sign !== undefined;
  return { ...(isRsa ? makeRsaKey() : makeKey('P-256')).export({ format: 'jwk' }), kid: 'KEY', alg: isRsa ? 'RS256' : 'ES256' };
}

/** As the end user would give it. */
const placeholderPem = () => makeRsaKey().export({ format: 'pem', type: 'pkcs8' }).toString();

async function runMethod(world: World, definition: Definition, name: string, method: Method): Promise<DryRun> {
  const requests: ShownRequest[] = [];
  const mask = maskOf(method);
  let step = 'start';
  const show = (request: DoorRequest) =>
    requests.push({
      step,
      method: request.method,
      url: mask(request.url),
      headers: Object.fromEntries(Object.entries(request.headers ?? {}).map(([header, value]) => [header, mask(value)])),
      body: request.body === undefined ? null : mask(request.body),
    });
  const recording: World = {
    ...world,
    door: async (request) => {
      show(request);
      return cannedAnswer(ctx);
    },
  };
  const declared = declaredInputs(definition, method);
  const examples = Object.fromEntries(
    Object.entries(declared).map(([input, { example, default: given, host, url, secret, private_key, ...listed }]) => [
      input,
      (private_key ? placeholderPem() : undefined) ??
        example ??
        given ??
        optionsOf(listed)?.[0] ??
        (url ? `https://provider.example.com/${input}` : host ? 'provider.example.com' : secret ? secretInput(input) : 'example'),
    ]),
  );
  const { values } = completeInputs(definition, method, examples, { allowPrivateHosts: true });
  const client = {
    client_id: placeholder.client_id,
    client_secret: placeholder.client_secret,
    ...(clientNeeds(method).key && { private_key_jwk: placeholderKey(method) }),
  };
  const ctx = { ...grantContext(recording, { definition, method: name, client, inputs: { ...examples, ...values } }), allowPrivateHosts: true };
  const grant = grantFor(method);
  const skip = (error: unknown) => {
    if (!isGrantryError(error)) throw error;
    requests.push({ step, method: '-', url: '', headers: {}, body: `Not shown: ${error.message}` });
  };
  try {
    const scopes = 'scopes' in method ? (method.scopes.default.length > 0 ? method.scopes.default : method.scopes.required ? ['SCOPE'] : []) : [];
    const started = await grant.start(ctx, { redirectUri: `${world.publicUrl}/oauth/callback`, state: 'STATE', scopes, endpoint: 'authorization' });
    let credential = started.kind === 'credential' ? started.credential : undefined;
    if (started.kind !== 'credential') {
      requests.push({ step: 'authorize (the browser)', method: 'GET', url: mask(started.redirect), headers: {}, body: null });
      step = 'exchange';
      const pending: Pending = started.pending;
      const keep = 'callback' in method ? Object.fromEntries(method.callback.keep.map((parameter) => [parameter, parameter.toUpperCase()])) : {};
      credential = await grant.finish?.(ctx, pending, {
        code: placeholder.code,
        state: 'STATE',
        oauthToken: pending.requestToken ?? '',
        oauthVerifier: 'VERIFIER',
        keep,
      });
    }
    if (credential === undefined) throw new GrantryError('unsupported');
    step = 'refresh';
    if (grant.refresh !== undefined && 'refresh' in method && method.refresh.how !== 'none') await grant.refresh(ctx, credential).catch(skip);
    step = 'after the exchange';
    credential = await learnMore(recording, ctx, credential);
    step = 'probe';
    await sendProbe(ctx, credential, 'ignored').catch(skip);
    step = 'revoke';
    if ('revocation_endpoint' in method && method.revocation_endpoint !== undefined) await grant.revoke?.(ctx, credential)?.catch(skip);
  } catch (error) {
    skip(error);
  }
  return { id: name, grant: method.grant, requests };
}

/** The requests that each method of a definition would send, in order. */
export async function dryRun(world: World, definition: Definition): Promise<DryRun[]> {
  return Promise.all(Object.entries(definition.methods).map(([name, method]) => runMethod(world, definition, name, method)));
}
