import { generateKeyPairSync } from 'node:crypto';
import type { Stage } from './stage.ts';

/** The providers of the test: one for each way in which a secret is sent, and for each way in which things go wrong. */

type Method = Record<string, unknown>;
const secretInput = (label: string) => ({ label, secret: true });

const web = (more: Method = {}): Method => ({
  grant: 'authorization_code',
  authorization_endpoint: '{at}/authorize',
  token_endpoint: '{at}/token',
  revocation_endpoint: '{at}/revoke',
  token_endpoint_auth_method: 'client_secret_post',
  refresh: { rotation: 'single_use' },
  ...more,
});
const oauth1: Method = {
  grant: 'oauth1',
  request_token_endpoint: '{at}/rt',
  authorization_endpoint: '{at}/authorize',
  access_token_endpoint: '{at}/at',
  revocation_endpoint: '{at}/revoke',
};

/** Everything goes well there. */
export const sound: Readonly<Record<string, Method>> = {
  post: web(),
  basic: web({ token_endpoint_auth_method: 'client_secret_basic' }),
  json: web({ token: { format: 'json' } }),
  phonegap: web({
    code_challenge_method: 'none',
    authorization: { omit: ['response_type', 'redirect_uri', 'state', 'scope'] },
    callback: { state: 'not_echoed' },
    token: { format: 'query', omit: ['grant_type', 'redirect_uri'] },
    refresh: { format: 'query' },
    revocation: { format: 'query' },
  }),
  raw: web({ token_endpoint_auth_method: 'basic_raw' }),
  nameless: web({ token_endpoint_auth_method: 'client_id_basic' }),
  public: web({ token_endpoint_auth_method: 'none' }),
  header: web({ token_endpoint_auth_method: 'none', token: { headers: { 'X-Secret': '{client_secret}' } } }),
  jwt: web({ token_endpoint_auth_method: 'private_key_jwt' }),
  signed: web({ code_challenge_method: 'none', callback: { signature: { algorithm: 'hmac_sha256_hex', param: 'hmac' } } }),
  posted: web({ callback: { response_mode: 'form_post' } }),
  chain: web({
    second_exchange: { endpoint: '{at}/second', params: { first: '{access_token}' } },
    refresh: { how: 'exchange_current', endpoint: '{at}/second', params: { first: '{access_token}' } },
  }),
  user: web(),
  claims: web({ response: { id_token: { account: '/sub', keep: { who: '/sub' } } } }),
  'in-path': web({
    api: { token: { in: 'path', prefix: 'bot' } },
    after: [{ path: '/me' }],
    revocation: { format: 'none', authentication: 'access_token' },
  }),
  tenant: web({ inputs: { tenant_secret: { ...secretInput('Tenant'), asked_of: 'integration' } }, token: { params: { tenant: '{tenant_secret}' } } }),
  machine: { grant: 'client_credentials', token_endpoint: '{at}/token', revocation_endpoint: '{at}/revoke' },
  oauth1,
  sha256: { ...oauth1, signature_method: 'HMAC-SHA256' },
  rsa: { ...oauth1, signature_method: 'RSA-SHA1' },
  // The addresses are those of the integration: in a definition they would have to be https.
  plaintext: {
    ...JSON.parse(JSON.stringify(oauth1).replaceAll('{at}', '{base}')),
    signature_method: 'PLAINTEXT',
    inputs: { base: { label: 'Base', url: true, asked_of: 'integration' } },
  },
  oob: { ...oauth1, callback: { mode: 'oob' } },
  exchange: {
    grant: 'credential_exchange',
    token_endpoint: '{at}/token',
    revocation_endpoint: '{at}/revoke',
    inputs: { auth_token: secretInput('Auth token') },
    token: { format: 'query', params: { auth_token: '{auth_token}' } },
  },
  bearer: {
    grant: 'jwt_bearer',
    token_endpoint: '{at}/token',
    revocation_endpoint: '{at}/revoke',
    inputs: { user: { label: 'User' } },
    assertion: { subject: '{user}' },
  },
  service: {
    grant: 'jwt_bearer',
    token_endpoint: '{at}/token',
    inputs: { key: { ...secretInput('Key'), private_key: true } },
    assertion: { issuer: 'robot', key: '{key}' },
    token: { headers: { Authorization: 'Bearer {assertion}' }, omit: ['assertion', 'client_id'] },
  },
  'two-step': web({
    token_endpoint_auth_method: 'none',
    application_token: { endpoint: '{at}/application', format: 'json' },
    token: { headers: { Authorization: 'Bearer {application_token}' }, params: { app: '{application_token}' } },
  }),
  'rsa-signed': web({ token_endpoint_auth_method: 'none', token: { sign: { signer: 'pairs_rsa_sha256', param: 'sign' } } }),
  keys: { grant: 'api_key', inputs: { api_key: { ...secretInput('Key'), pattern: '[A-Za-z0-9]{8,64}' } } },
  login: { grant: 'basic', inputs: { username: { label: 'User' }, password: secretInput('Password') } },
};

/** Something goes wrong there, at the code or later. */
export const unsound: Readonly<Record<string, Method>> = {
  refuses: web(),
  'refuses-client': web({ token_endpoint_auth_method: 'client_secret_basic' }),
  'error-page': web({ token: { format: 'query', method: 'GET' } }),
  redirects: web(),
  cuts: web(),
  'odd-token': web(),
  denies: web(),
  'oauth1-refuses': oauth1,
  'keys-refused': sound.keys ?? {},
  'refresh-refuses': web(),
  'refresh-garbage': web(),
  'refresh-error-page': web({ refresh: { format: 'query' } }),
  'revoke-fails': web(),
  spills: web(),
};

export type Integrated = { id: string; redirect_uri: string };

/** The key that signs the assertions of an integration; its private parts are secrets. */
function signingKey({ markers }: Stage, owner: string): Record<string, unknown> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = privateKey.export({ format: 'jwk' });
  for (const part of [jwk.d, jwk.p, jwk.q]) markers.note('private key', owner, part);
  return { ...jwk, kid: 'leak', alg: 'RS256', use: 'sig' };
}

/** The provider and our registration there, with all the secrets that it takes. */
export async function integrate(stage: Stage, owner: string, method: Method): Promise<Integrated> {
  const { root, talker, secretOf, markers } = stage;
  const at = `${talker.url}/${owner}`;
  const definition = {
    id: owner,
    name: `Provider ${owner}`,
    api: { base_url: at, headers: { 'X-Client': '{client_id}' }, probe: { path: '/me' } },
    methods: { way: JSON.parse(JSON.stringify(method).replaceAll('{at}', at)) },
  };
  await root.call('PUT', `/v1/providers/${owner}`, { body: JSON.stringify(definition) });
  const isRegistered = method.grant !== 'api_key' && method.grant !== 'basic';
  const secret = ((): Record<string, unknown> => {
    if (owner === 'service') return {};
    if (['jwt', 'rsa', 'bearer', 'rsa-signed'].includes(owner)) return { private_key_jwk: signingKey(stage, owner) };
    if (!isRegistered || owner === 'nameless' || owner === 'public') return {};
    return method.grant === 'oauth1' || owner === 'signed' || owner === 'header' || owner === 'raw'
      ? { client_secret: secretOf(owner) }
      : { client_secrets: [secretOf(owner), markers.make('client secret', owner, 'odd')] };
  })();
  const body = {
    id: owner,
    provider: owner,
    ...(isRegistered && { client_id: `client-of-${owner}` }),
    ...secret,
    ...(owner === 'plaintext' && { inputs: { base: at } }),
    ...(owner === 'tenant' && { inputs: { tenant_secret: markers.make('input secret', owner, 'odd') } }),
  };
  const made = await root.call<Integrated>('POST', '/v1/integrations', { body, idempotencyKey: `make-${owner}` });
  if (made.redirect_uri !== null) talker.registers(owner, made.redirect_uri);
  return made;
}
