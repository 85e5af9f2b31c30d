import { describe, expect, it } from 'vitest';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import { faultsOf, put, sample, type Tree } from './samples.ts';

const check = (tree: Tree, allowPrivateHosts = false) => faultsOf(() => parseDefinitionValue(tree, { allowPrivateHosts }));
const web = '/methods/web';
const region = (value: string, over: Tree = {}) => ({
  label: 'Region',
  choices: {
    [value]: { label: 'North', sets: { login: 'login.acme.com', short: 'n' } },
    south: { sets: { login: 'login.acme-south.com', short: 's' } },
  },
  ...over,
});
const signed = '/methods/signed';

describe('a sound definition', () => {
  it('has no faults', () => {
    expect(check(sample())).toEqual([]);
  });

  it.each<[string, string, unknown]>([
    ['an open host', `${web}/token_endpoint`, 'https://{site}/token'],
    ['an open host with a port', `${web}/token_endpoint`, 'https://{site}:8443/token'],
    ['a whole URL', `${web}/token_endpoint`, '{server}'],
    ['a URL and what follows', `${web}/token_endpoint`, '{server}/token?tenant={tenant}'],
    ['a variable between fixed labels', `${web}/token_endpoint`, 'https://auth.{tenant}.eu.acme.com/token'],
    ['three labels below a registry', `${web}/token_endpoint`, 'https://{tenant}.acme.co.uk/token'],
    ['a variable in path and query', `${web}/token_endpoint`, 'https://acme.com/{tenant}/token?x={tenant}'],
    ['a public address literal', `${web}/token_endpoint`, 'https://8.8.8.8/token'],
    ['an optional input at an optional endpoint', `${web}/revocation_endpoint`, 'https://acme.com/{extra}'],
    ['an optional input in a parameter', `${web}/token/params/x`, '{extra}'],
    ['built-in names in the authorization', `${web}/authorization/params/x`, '{client_id} {scope} {redirect_uri}'],
    ['built-in names at a refresh', `${web}/refresh/params/x`, '{access_token}{refresh_token}{extras.account}'],
    ['what the callback kept, at the exchange', `${web}/token/params/x`, '{extras.realm}'],
    ['a secret at the token endpoint', `${web}/token/params/x`, '{key}'],
    ['a kept value in the path of the API', '/api/base_url', 'https://{tenant}.acme.com/{extras.account}/{extras.realm}'],
    ['a kept value that is the API', '/api/base_url', '{extras.home}/v1'],
    ['a kept value that is the host of the API', '/api/base_url', 'https://{extras.home}/v1'],
    ['a probe that is a whole URL', '/api/probe/path', 'https://{tenant}.acme.com/me/{extras.account}'],
    ['the client id in the headers of the API', '/api/headers/Client-Id', '{client_id}'],
    ['parameters of each call', '/api/params', { key: '{client_id}', account: '{extras.account}', x: '{extra}' }],
    ['a probe with a body', '/api/probe', { path: '/graphql', method: 'POST', json: { query: '{ viewer { id } }', token: '{access_token}' } }],
    ['an API of a method', `${web}/api`, { base_url: '{extras.home}/v1', token: { name: 'X-Key', scheme: '' }, probe: { path: '/{extras.realm}' } }],
    ['a method without probe and account', `${web}/api`, { probe: null, account: null }],
    ['a listed host', '/inputs/site', { label: 'S', host: true, enum: ['login.acme.com', 'login.acme.de'] }],
    ['a choice of hosts', '/inputs/tenant', region('north')],
    ['a listed part of a label', `${web}/token_endpoint`, 'https://login{env}.acme.com/token'],
    ['a listed ending', `${web}/token_endpoint`, 'https://login.acme.{ending}/token'],
    ['a listed host beside a label that anybody may say', `${web}/token_endpoint`, 'https://{tenant}.acme.{ending}/token'],
    ['the client secret in a header of the token request', `${web}/token/headers/X-Key`, '{client_secret}'],
    [
      'an Authorization of its own at the revocation',
      `${web}/revocation`,
      { authentication: 'none', headers: { Authorization: 'Client {client_secret}' } },
    ],
    ['no code challenge', `${web}/code_challenge_method`, 'none'],
    ['out of band with state', `${signed}/callback`, { mode: 'oob', verifier: 'absent', state: 'echoed' }],
    ['an input with all of it', '/inputs/region', { label: 'R', enum: ['eu', 'us'], default: 'eu', pattern: '[a-z]{2}', optional: true }],
    ['exchange_current with parameters', `${web}/refresh`, { how: 'exchange_current', params: { t: '{access_token}' } }],
    ['exchange_current with an address', `${web}/refresh`, { how: 'exchange_current', endpoint: 'https://acme.com/renew' }],
    ['a scope in the token request', `${web}/token/params/scope`, '{scope}'],
    ["a grant of the provider's own", `${web}/token`, { params: { grant_type: 'https://oauth.acme.com/grants/installed_client' } }],
    ['a standard parameter left out and one renamed', `${web}/token`, { omit: ['grant_type'], rename: { client_id: 'app' } }],
  ])('may have %s', (_, path, value) => {
    expect(check(put(sample(), path, value))).toEqual([]);
  });
});

describe('choices', () => {
  it('may bring along what stands anywhere in an address', () => {
    const tree = put(put(sample(), '/inputs/region', region('north')), `${web}/token_endpoint`, 'https://{login}/token');
    expect(check(tree)).toEqual([]);
    expect(check(put(tree, '/api/base_url', 'https://api-{short}.acme.com/v1'))).toEqual([]);
  });

  it.each([
    ['a private host', 'internal', /not a public one/],
    ['another path', 'com/evil', /one of the values that the definition lists/],
    ['another port', 'com:81', /one of the values that the definition lists/],
    ['user info', 'com@evil.com', /one of the values that the definition lists/],
  ])('must not lead to %s, whichever of them does', (_, value, words) => {
    const tree = put(put(sample(), '/inputs/ending/enum', ['com', value]), `${web}/token_endpoint`, 'https://login.acme.{ending}/token');
    expect(check(tree)).toEqual([{ pointer: `${web}/token_endpoint`, detail: expect.stringMatching(words) }]);
  });

  it('set no name twice', () => {
    const tree = put(put(sample(), '/inputs/region', region('north')), '/inputs/zone', region('east'));
    expect(check(tree).map(({ pointer, detail }) => [pointer, detail])).toContainEqual([
      '/inputs/zone/choices/east/sets/login',
      'login is set by region already.',
    ]);
  });
});

/** The method of the sample, with a signed assertion. */
function signing(more: Tree): Tree {
  const method = {
    ...((sample()['methods'] as Tree)['web'] as Tree),
    issuer: 'https://{tenant}.acme.com',
    token_endpoint_auth_method: 'private_key_jwt',
  };
  return { ...method, ...more };
}

/** What is put where, and the pointer and words of the one fault that comes of it. */
const refusals: [string, string, unknown, string, RegExp][] = [
  // Client authentication.
  ['an assertion that nobody signs', `${web}/client_assertion`, { issuer: '{client_id}' }, `${web}/client_assertion`, /private_key_jwt/],
  ['a claim of the RFC', web, signing({ client_assertion: { claims: { aud: 'x' } } }), `${web}/client_assertion/claims/aud`, /fields of their own/],
  ['Authorization beside Basic', `${web}/token/headers/Authorization`, '{client_secret}', `${web}/token/headers/Authorization`, /set by the broker/],
  [
    'the client secret in the address bar',
    `${web}/authorization/params/x`,
    '{client_secret}',
    `${web}/authorization/params/x`,
    /not a declared input/,
  ],
  ['the client secret in calls that workers make', '/api/headers/X-Key', '{client_secret}', '/api/headers/X-Key', /not a declared input/],
  [
    'a second exchange by GET with a body',
    `${web}/second_exchange`,
    { endpoint: 'https://acme.com/long', method: 'GET', params: { t: '{access_token}' } },
    `${web}/second_exchange/format`,
    /must be query/,
  ],
  [
    'a second exchange that says the secret itself',
    `${web}/second_exchange`,
    { endpoint: 'https://acme.com/long', params: { client_secret: 'x' } },
    `${web}/second_exchange/params/client_secret`,
    /set by the broker/,
  ],
  [
    'a signature in a parameter that is taken',
    '/api',
    { base_url: 'https://acme.com', token: { in: 'query', name: 'sig' }, sign: { signer: 'token_hmac_sha256', param: 'sig' } },
    '/api/sign/param',
    /of its own/,
  ],
  // Claims of the ID token.
  ['an ID token of which nothing is read', `${web}/response/id_token`, {}, `${web}/response/id_token`, /say account or keep/],
  ['an account that is named twice', `${web}/response/id_token`, { account: '/sub' }, `${web}/response/id_token/account`, /api.account already/],
  ['a claim by a taken name', `${web}/response/id_token`, { keep: { home: '/h' } }, `${web}/response/id_token/keep/home`, /another name/],
  ['a claim by a name of the callback', `${web}/response/id_token`, { keep: { realm: '/h' } }, `${web}/response/id_token/keep/realm`, /another name/],
  [
    'an ID token without an end user',
    '/methods/machine',
    { grant: 'client_credentials', token_endpoint: 'https://acme.com/t', response: { id_token: { keep: { a: '/a' } } } },
    '/methods/machine/response/id_token',
    /only authorization_code/,
  ],
  // A token in the path.
  ['a token in the path of nothing', '/api', { token: { in: 'path' } }, '/api/token/in', /give that/],
  ['a token behind a query', '/api', { base_url: 'https://acme.com/?a=b', token: { in: 'path' } }, '/api/base_url', /leave the query out/],
  ['a token in the path with a name', '/api/token', { in: 'path', name: 'key' }, '/api/token/name', /has no name/],
  ['a token in the path with a scheme', '/api/token', { in: 'path', scheme: 'bot' }, '/api/token/scheme', /say prefix/],
  ['a prefix in a header', '/api/token', { prefix: 'bot' }, '/api/token/prefix', /say scheme/],
  [
    'a signed call with the token in its path',
    '/api',
    { base_url: 'https://acme.com', token: { in: 'path' }, sign: { signer: 'token_hmac_sha256', param: 'sig' } },
    '/api/sign',
    /leave one of the two out/,
  ],
  [
    'a probe beside the base',
    '/api',
    { base_url: 'https://acme.com/v1', token: { in: 'path' }, probe: { path: 'https://acme.com/v10/me' } },
    '/api/probe/path',
    /begin this address/,
  ],
  [
    'a call beside the base, of a method with a base of its own',
    web,
    signing({ api: { base_url: 'https://acme.com/v1', token: { in: 'path' } }, after: [{ path: 'https://acme.com/me' }] }),
    `${web}/after/0/path`,
    /begin this address/,
  ],
  [
    'a revocation beside the base',
    web,
    signing({
      api: { base_url: 'https://acme.com/v1', token: { in: 'path' } },
      revocation_endpoint: 'https://acme.com/end',
      revocation: { authentication: 'access_token' },
    }),
    `${web}/revocation_endpoint`,
    /authentication: none/,
  ],
  ['a revocation that renames what is not sent', `${web}/revocation/rename`, { code: 'x' }, `${web}/revocation/rename/code`, /no parameter code/],
  // Calls after the exchange.
  ['a call with a body that is no POST', `${web}/after`, [{ path: '/x', json: {} }], `${web}/after/0/method`, /must be a POST/],
  ['a call that keeps a token', `${web}/after`, [{ path: '/x', keep: { t: '/access_token' } }], `${web}/after/0/keep/t`, /not kept/],
  ['a call whose value is not kept', `${web}/after`, [{ path: '/{extras.nothing}' }], `${web}/after/0/path`, /not a value that is kept/],
  ['a call to where the callback says', `${web}/after`, [{ path: '{extras.realm}/x' }], `${web}/after/0/path`, /at the beginning/],
  // Choices.
  [
    'a choice that sets less',
    '/inputs/region',
    region('x', { choices: { a: { sets: { y: '1' } }, b: { sets: {} } } }),
    '/inputs/region/choices/b/sets',
    /here y is missing/,
  ],
  ['choices beside an enum', '/inputs/region', region('x', { enum: ['x', 'south'] }), '/inputs/region/enum', /not both/],
  ['a secret choice', '/inputs/region', region('x', { secret: true }), '/inputs/region/secret', /no secret/],
  ['no choices', '/inputs/region', region('x', { choices: {} }), '/inputs/region/choices', /At least one/],
  ['an optional choice', '/inputs/region', region('x', { optional: true }), '/inputs/region/optional', /give a default/],
  ['a default that is no choice', '/inputs/region', region('x', { default: 'west' }), '/inputs/region/default', /one of x, south/],
  [
    'a choice that sets an input',
    '/inputs/region',
    region('x', { choices: { a: { sets: { key: '1' } } } }),
    '/inputs/region/choices/a/sets/key',
    /an input already/,
  ],
  [
    'a choice that sets itself',
    '/inputs/region',
    region('x', { choices: { a: { sets: { region: '1' } } } }),
    '/inputs/region/choices/a/sets/region',
    /is taken/,
  ],
  [
    'a choice that sets a built-in',
    '/inputs/region',
    region('x', { choices: { a: { sets: { client_id: '1' } } } }),
    '/inputs/region/choices/a/sets/client_id',
    /is taken/,
  ],
  // The API of a method.
  ['a header that is the token', `${web}/api`, { headers: { authorization: 'x' } }, `${web}/api/headers/authorization`, /set by the broker/],
  ['an account without a probe', `${web}/api`, { probe: null }, `${web}/api/account`, /Needs api.probe/],
  ['a probe without its base', `${web}/api`, { base_url: null }, `${web}/api/probe/path`, /Needs api.base_url/],
  [
    'a value that this method does not keep',
    '/methods/signed/api',
    { headers: { 'X-Home': '{extras.home}' } },
    '/methods/signed/api/headers/X-Home',
    /not a value that is kept/,
  ],
  ['an undeclared name in a parameter of each call', '/api/params/x', '{nobody}', '/api/params/x', /\{nobody\}/],
  ['a body of a GET', '/api/probe/json', { a: 1 }, '/api/probe/method', /must be a POST/],
  ['two bodies', '/api/probe', { path: '/me', method: 'POST', json: {}, form: {} }, '/api/probe/form', /one body/],
  [
    'an undeclared name in a body',
    '/api/probe',
    { path: '/me', method: 'POST', json: { a: { b: '{nobody}' } } },
    '/api/probe/json/a/b',
    /\{nobody\}/,
  ],
  ['a body of HEAD', '/api/probe', { path: '/me', method: 'HEAD', success: { pointer: '/ok' } }, '/api/probe/success', /HEAD has no body/],
  // Templates and their names.
  ['a brace that stands alone', `${web}/token_endpoint`, 'https://acme.com/{tenant', `${web}/token_endpoint`, /brace/],
  ['a name that is none', `${web}/token/params/x`, '{a-b}', `${web}/token/params/x`, /not a variable name/],
  [
    'an undeclared name in an address',
    `${web}/token_endpoint`,
    'https://acme.com/{nobody}',
    `${web}/token_endpoint`,
    /\{nobody\} is not a declared input/,
  ],
  ['an undeclared name in a parameter', `${web}/authorization/params/x`, '{nobody}', `${web}/authorization/params/x`, /\{nobody\}/],
  ['a name of Object.prototype', `${web}/token/params/x`, '{toString}', `${web}/token/params/x`, /\{toString\}/],
  ['an input of another method', '/methods/signed/authorization/params/x', '{only_web}', '/methods/signed/authorization/params/x', /\{only_web\}/],
  ['a token at the authorization', `${web}/authorization/params/x`, '{access_token}', `${web}/authorization/params/x`, /access_token/],
  ['a refresh token at the exchange', `${web}/token/params/x`, '{refresh_token}', `${web}/token/params/x`, /refresh_token/],
  ['a redirect URI in a signed request', `${signed}/request_token/params/x`, '{redirect_uri}', `${signed}/request_token/params/x`, /redirect_uri/],
  ['a redirect URI at the revocation', `${web}/revocation/params/x`, '{redirect_uri}', `${web}/revocation/params/x`, /redirect_uri/],
  ['a token in the API address', '/api/base_url', 'https://acme.com/{access_token}', '/api/base_url', /access_token/],
  ['a value that nobody keeps', '/api/headers/X', '{extras.nothing}', '/api/headers/X', /not a value that is kept/],
  ['what the answer keeps, before the answer', `${web}/token/params/x`, '{extras.account}', `${web}/token/params/x`, /not a value that is kept/],
  [
    'a kept value in the token endpoint',
    `${web}/token_endpoint`,
    'https://acme.com/{extras.account}',
    `${web}/token_endpoint`,
    /not a value that is kept/,
  ],
  ['an optional input in a required address', `${web}/token_endpoint`, 'https://acme.com/{extra}', `${web}/token_endpoint`, /optional/],
  ['an optional input in a signed request', `${signed}/authorization/params/x`, '{extra}', `${signed}/authorization/params/x`, /optional/],
  ['a secret in the authorization address', `${web}/authorization_endpoint`, 'https://acme.com/{key}', `${web}/authorization_endpoint`, /secret/],
  ['a secret in an authorization parameter', `${web}/authorization/params/x`, 'a{key}', `${web}/authorization/params/x`, /secret/],
  ['a secret on a signed page', `${signed}/authorization_endpoint`, 'https://acme.com/?k={key}', `${signed}/authorization_endpoint`, /secret/],
  [
    'a secret on the other signed page',
    `${signed}/authentication_endpoint`,
    'https://acme.com/?k={key}',
    `${signed}/authentication_endpoint`,
    /secret/,
  ],
  ['a probe that names a stranger', '/api/probe/path', '/me/{nobody}', '/api/probe/path', /\{nobody\}/],
  ['a realm that names a stranger', `${signed}/realm`, '{nobody}', `${signed}/realm`, /\{nobody\}/],
  ['a realm that no header can hold', `${signed}/realm`, 'Zürich', `${signed}/realm`, /printable ASCII/],

  // Addresses.
  ['http', `${web}/token_endpoint`, 'http://acme.com/token', `${web}/token_endpoint`, /https/],
  ['another scheme', `${web}/authorization_endpoint`, 'javascript://acme.com/%0aalert(1)', `${web}/authorization_endpoint`, /https/],
  ['no scheme', `${web}/token_endpoint`, '//acme.com/token', `${web}/token_endpoint`, /https/],
  ['a relative address', `${web}/token_endpoint`, '/token', `${web}/token_endpoint`, /https/],
  ['localhost', `${web}/token_endpoint`, 'https://localhost/token', `${web}/token_endpoint`, /public/],
  ['a name without a domain', `${web}/token_endpoint`, 'https://intranet/token', `${web}/token_endpoint`, /public/],
  ['an internal name', `${web}/token_endpoint`, 'https://db.internal/token', `${web}/token_endpoint`, /public/],
  ['a private address', `${web}/token_endpoint`, 'https://10.0.0.1/token', `${web}/token_endpoint`, /public/],
  ['loopback as a number', `${web}/token_endpoint`, 'https://2130706433/token', `${web}/token_endpoint`, /public/],
  ['loopback in hexadecimal', `${web}/token_endpoint`, 'https://0x7f.1/token', `${web}/token_endpoint`, /public/],
  ['IPv6 loopback', `${web}/token_endpoint`, 'https://[::1]/token', `${web}/token_endpoint`, /public/],
  ['IPv4 in IPv6', `${web}/token_endpoint`, 'https://[::ffff:169.254.169.254]/token', `${web}/token_endpoint`, /public/],
  ['the metadata service', '/api/base_url', 'https://169.254.169.254/latest', '/api/base_url', /public/],
  ['user info', `${web}/token_endpoint`, 'https://acme.com@evil.com/token', `${web}/token_endpoint`, /user name/],
  ['a variable as user info', `${web}/token_endpoint`, 'https://{tenant}@evil.com/token', `${web}/token_endpoint`, /whole label|user name/],
  ['a fragment', `${web}/authorization_endpoint`, 'https://acme.com/authorize#x', `${web}/authorization_endpoint`, /fragment/],
  ['a backslash', `${web}/token_endpoint`, 'https://acme.com\\@evil.com/', `${web}/token_endpoint`, /characters/],
  ['a space', `${web}/token_endpoint`, 'https://acme.com/a b', `${web}/token_endpoint`, /characters/],
  ['a variable as the whole host', `${web}/token_endpoint`, 'https://{tenant}/token', `${web}/token_endpoint`, /host: true/],
  ['a variable before a top-level domain', `${web}/token_endpoint`, 'https://{tenant}.com/token', `${web}/token_endpoint`, /host: true/],
  ['a variable before a registry', `${web}/token_endpoint`, 'https://{tenant}.co.uk/token', `${web}/token_endpoint`, /host: true/],
  ['a variable at the end of the host', `${web}/token_endpoint`, 'https://login.{tenant}/token', `${web}/token_endpoint`, /host: true/],
  ['a variable that is part of a label', `${web}/token_endpoint`, 'https://login-{tenant}.acme.com/', `${web}/token_endpoint`, /whole label/],
  ['two variables in a label', `${web}/token_endpoint`, 'https://{tenant}{tenant}.acme.com/', `${web}/token_endpoint`, /whole label/],
  ['a variable as the port', `${web}/token_endpoint`, 'https://acme.com:{tenant}/', `${web}/token_endpoint`, /whole label|absolute/],
  ['an open host with more behind it', `${web}/token_endpoint`, 'https://{site}.acme.com/', `${web}/token_endpoint`, /whole host/],
  ['an open host with more before it', `${web}/token_endpoint`, 'https://x.{site}/', `${web}/token_endpoint`, /whole host/],
  ['a URL input as a label', `${web}/token_endpoint`, 'https://{server}.acme.com/', `${web}/token_endpoint`, /very beginning/],
  ['a URL input that goes on in the host', `${web}/token_endpoint`, '{server}.evil.com/', `${web}/token_endpoint`, /goes on with/],
  ['a URL input that goes on as user info', `${web}/token_endpoint`, '{server}@evil.com/', `${web}/token_endpoint`, /goes on with/],
  ['a plain input at the beginning', `${web}/token_endpoint`, '{tenant}', `${web}/token_endpoint`, /url: true/],
  ['a plain input as the scheme', `${web}/token_endpoint`, '{tenant}://acme.com/', `${web}/token_endpoint`, /url: true/],
  ['a secret in the host', `${web}/token_endpoint`, 'https://{key}.acme.com/', `${web}/token_endpoint`, /secret/],
  ['a kept value in the host', '/api/base_url', 'https://{extras.account}.acme.com/', '/api/base_url', /Only declared inputs/],
  ['a value from the callback as the API', '/api/base_url', '{extras.realm}/v1', '/api/base_url', /beginning/],
  ['a value from the callback as the host of the API', '/api/base_url', 'https://{extras.realm}/v1', '/api/base_url', /Only declared inputs/],
  [
    'a kept value as the host of the revocation endpoint',
    `${web}/revocation_endpoint`,
    'https://{extras.home}/revoke',
    `${web}/revocation_endpoint`,
    /Only declared inputs/,
  ],
  ['a kept value as the revocation endpoint', `${web}/revocation_endpoint`, '{extras.home}/revoke', `${web}/revocation_endpoint`, /beginning/],
  ['a token in the host', `${web}/revocation_endpoint`, 'https://{access_token}.acme.com/', `${web}/revocation_endpoint`, /Only declared inputs/],
  ['a query in the issuer', `${web}/issuer`, 'https://acme.com/?a=b', `${web}/issuer`, /RFC 8414/],
  ['a probe below nothing', '/api/base_url', undefined, '/api/probe/path', /base_url/],
  ['a probe that is no address', '/api/probe/path', 'me', '/api/probe/path', /https/],
  ['a private probe', '/api/probe/path', 'https://127.0.0.1/me', '/api/probe/path', /public/],

  // Inputs.
  ['an input with a built-in name', '/inputs/access_token', { label: 'A' }, '/inputs/access_token', /built-in/],
  ['a method input with a built-in name', `${web}/inputs`, { redirect_uri: { label: 'A' } }, `${web}/inputs/redirect_uri`, /built-in/],
  ['an input that is called extras', '/inputs/extras', { label: 'A' }, '/inputs/extras', /built-in/],
  ['a pattern outside the subset', '/inputs/a', { label: 'A', pattern: '(a+)+$' }, '/inputs/a/pattern', /not allowed in a pattern/],
  ['an example that does not fit', '/inputs/a', { label: 'A', pattern: '[a-z]+', example: 'A1' }, '/inputs/a/example', /expected form/],
  ['a default that does not fit', '/inputs/a', { label: 'A', pattern: '[a-z]+', default: 'A1' }, '/inputs/a/default', /expected form/],
  ['a choice that does not fit', '/inputs/a', { label: 'A', pattern: '[a-z]+', enum: ['a', 'B'] }, '/inputs/a/enum/1', /expected form/],
  ['a default that is no choice', '/inputs/a', { label: 'A', enum: ['a', 'b'], default: 'c' }, '/inputs/a/default', /one of a, b/],
  ['a private default host', '/inputs/a', { label: 'A', host: true, default: 'localhost' }, '/inputs/a/default', /public host/],
  ['a private example URL', '/inputs/a', { label: 'A', url: true, example: 'http://acme.com' }, '/inputs/a/example', /https/],
  ['an input that is host and URL', '/inputs/a', { label: 'A', url: true, host: true }, '/inputs/a/url', /not both/],
  ['a secret with a default', '/inputs/a', { label: 'A', secret: true, default: 'hunter2' }, '/inputs/a/default', /secret has no default/],

  // Parameters.
  ...['state', 'code_challenge', 'redirect_uri', 'client_id', 'response_type', 'code', 'client_secret', 'scope', 'oauth_token'].map(
    (name): [string, string, unknown, string, RegExp] => [
      `a fixed ${name} at the authorization`,
      `${web}/authorization`,
      { params: { [name]: 'x' } },
      `${web}/authorization/params/${name}`,
      /set by the broker/,
    ],
  ),
  ...['state', 'redirect_uri', 'client_id', 'code', 'client_secret', 'code_verifier', 'refresh_token'].map(
    (name): [string, string, unknown, string, RegExp] => [
      `a fixed ${name} at the exchange`,
      `${web}/token/params/${name}`,
      'x',
      `${web}/token/params/${name}`,
      /set by the broker/,
    ],
  ),
  ['a fixed client_secret at the refresh', `${web}/refresh/params/client_secret`, 'x', `${web}/refresh/params/client_secret`, /set by the broker/],
  [
    'a fixed client_secret at the revocation',
    `${web}/revocation/params/client_secret`,
    'x',
    `${web}/revocation/params/client_secret`,
    /set by the broker/,
  ],
  [
    'a fixed oauth_callback',
    `${signed}/request_token/params/oauth_callback`,
    'x',
    `${signed}/request_token/params/oauth_callback`,
    /set by the broker/,
  ],
  [
    'a parameter added and left out',
    `${web}/token`,
    { params: { grant_type: 'authorization_code' }, omit: ['grant_type'] },
    `${web}/token/params/grant_type`,
    /both added and left out/,
  ],
  ...[
    'password',
    'implicit',
    'token',
    'Password',
    '{extra}',
    'urn:ietf:params:oauth:grant-type:device_code',
    'http://auth0.com/oauth/grant-type/password-realm',
  ].flatMap((value) =>
    [
      ['token/params', { grant_type: value }, 'grant_type'],
      ['refresh/params', { grant_type: value }, 'grant_type'],
      ['second_exchange', { endpoint: 'https://acme.com/x', params: { grant_type: value } }, 'params/grant_type'],
      ['revocation/params', { grant_type: value }, 'grant_type'],
    ].map(([place, what, at]): [string, string, unknown, string, RegExp] => [
      `the grant ${value} at ${place}`,
      `${web}/${place}`,
      what,
      `${web}/${place}/${at}`,
      /grant_type may be .*; no other grant is used/,
    ]),
  ),
  [
    "the end user's password under the provider's own spelling",
    `${web}/token`,
    { omit: ['grant_type'], params: { grantType: 'password', username: '{tenant}', password: '{key}' } },
    `${web}/token/params/grantType`,
    /grantType may be authorization_code/,
  ],
  [
    "the end user's password in the address of the exchange",
    web,
    {
      grant: 'credential_exchange',
      token_endpoint: 'https://acme.com/token?grant_type=password',
      token: { params: { username: '{tenant}', password: '{key}' } },
    },
    `${web}/token_endpoint`,
    /grant_type may be/,
  ],
  [
    'another parameter that is called grant_type',
    `${web}/token`,
    { omit: ['grant_type'], rename: { scope: 'grant_type' } },
    `${web}/token/rename/scope`,
    /Only grant_type itself/,
  ],
  [
    'a password in a call with the credential',
    `${web}/after`,
    [{ method: 'POST', path: '/token', form: { grant_type: 'password', username: '{tenant}' } }],
    `${web}/after/0/form/grant_type`,
    /has no place here/,
  ],
  [
    'the password grant as a URI of somebody',
    `${web}/token/params`,
    { grant_type: 'http://auth0.com/oauth/grant-type/password-realm' },
    `${web}/token/params/grant_type`,
    /no other grant/,
  ],
  ['scopes that are called grant_type', `${web}/scopes/param`, 'grant_type', `${web}/scopes/param`, /must not be sent as grant_type/],
  [
    'a response type in the address of the page',
    `${web}/authorization_endpoint`,
    'https://acme.com/authorize?response_type=token',
    `${web}/authorization_endpoint`,
    /response_type may be code;/,
  ],
  [
    'another parameter that is called response_type',
    `${web}/authorization`,
    { omit: ['response_type'], rename: { scope: 'response_type' } },
    `${web}/authorization/rename/scope`,
    /Only response_type itself/,
  ],
  ...['token', 'id_token', 'code token'].map((value): [string, string, unknown, string, RegExp] => [
    `the response type ${value} at the exchange`,
    `${web}/token/params/response_type`,
    value,
    `${web}/token/params/response_type`,
    /here it may be code, or left out/,
  ]),
  [
    'a parameter renamed and left out',
    `${web}/token`,
    { rename: { grant_type: 'x' }, omit: ['grant_type'] },
    `${web}/token/rename/grant_type`,
    /both renamed and left out/,
  ],
  ['a parameter left out twice', `${web}/token/omit`, ['grant_type', 'grant_type'], `${web}/token/omit/1`, /twice/],
  ['a parameter left out that is none', `${web}/token/omit`, ['grant-type'], `${web}/token/omit/0`, /no parameter grant-type/],
  [
    'a parameter renamed that is none',
    `${web}/authorization/rename`,
    { clientid: 'x' },
    `${web}/authorization/rename/clientid`,
    /no parameter clientid/,
  ],
  [
    'two parameters of one name',
    `${web}/authorization/rename`,
    { client_id: 'a', redirect_uri: 'a' },
    `${web}/authorization/rename/redirect_uri`,
    /a is sent already/,
  ],
  [
    'a parameter renamed to a standard one',
    `${web}/authorization/rename`,
    { client_id: 'state' },
    `${web}/authorization/rename/client_id`,
    /state is sent already/,
  ],
  [
    'a parameter renamed to an added one',
    `${web}/authorization/rename`,
    { client_id: 'prompt' },
    `${web}/authorization/rename/client_id`,
    /prompt is sent already/,
  ],
  ['state left out and waited for', `${web}/authorization/omit`, ['state'], `${web}/authorization/omit/0`, /not_echoed/],
  ['a challenge left out in silence', `${web}/authorization/omit`, ['code_challenge'], `${web}/authorization/omit/0`, /code_challenge_method: none/],
  ['a fragment with #', `${web}/authorization/fragment`, '#x', `${web}/authorization/fragment`, /Must not hold/],
  ['a body with GET', `${web}/token/method`, 'GET', `${web}/token/format`, /no body/],
  ['a body with GET at the refresh', `${web}/refresh/method`, 'GET', `${web}/refresh/format`, /no body/],
  ['a body with GET at the revocation', `${web}/revocation/method`, 'GET', `${web}/revocation/format`, /no body/],
  ['a header of the transport', '/api/headers/Host', 'evil.com', '/api/headers/Host', /set by the broker/],
  ["the token's own header", '/api/headers/authorization', 'x', '/api/headers/authorization', /set by the broker/],
  ['a content type at the exchange', `${web}/token/headers/Content-Type`, 'x', `${web}/token/headers/Content-Type`, /set by the broker/],
  [
    'an Authorization header at the revocation',
    `${web}/revocation/headers/Authorization`,
    'x',
    `${web}/revocation/headers/Authorization`,
    /set by the broker/,
  ],
  ['a token header that is none', '/api/token', { name: 'X Token' }, '/api/token/name', /header name/],

  // Contradictions.
  ['exchange_current with nothing to send', `${web}/refresh/how`, 'exchange_current', `${web}/refresh/how`, /needs refresh/],
  ['keeping alive what is never refreshed', `${web}/refresh`, { how: 'none', keep_alive: 'P1D' }, `${web}/refresh/keep_alive`, /never refreshed/],
  ['a keep_alive of nothing', `${web}/refresh/keep_alive`, 'PT0S', `${web}/refresh/keep_alive`, /longer than nothing/],
  ['a lifetime of nothing', `${web}/response/lifetime`, 'P0D', `${web}/response/lifetime`, /longer than nothing/],
  ['parameters of no revocation', `${web}/revocation_endpoint`, undefined, `${web}/revocation/params`, /no revocation_endpoint/],
  ['a kept access token', `${web}/response/keep/t`, '/access_token', `${web}/response/keep/t`, /token is not kept/],
  ['a kept id token', `${web}/response/keep/t`, '/id_token', `${web}/response/keep/t`, /token is not kept/],
  ['a kept token secret', `${signed}/response/keep`, { t: '/oauth_token_secret' }, `${signed}/response/keep/t`, /token is not kept/],
  ['a token type in capitals', `${web}/response/token_types`, ['bearer', 'Bot'], `${web}/response/token_types/1`, /lower case/],
  ['a kept code', `${web}/callback/keep`, ['realm', 'code'], `${web}/callback/keep/1`, /never kept/],
  ['a kept verifier', `${signed}/callback/keep`, ['oauth_verifier'], `${signed}/callback/keep/0`, /never kept/],
  ['a parameter kept twice', `${web}/callback/keep`, ['realm', 'realm'], `${web}/callback/keep/1`, /twice/],
  ['a denial that is no error code', `${web}/callback/denied`, ['no"pe'], `${web}/callback/denied/0`, /error code/],
  ['a code that is the state', `${web}/callback/code`, 'state', `${web}/callback/code`, /another meaning/],
  [
    'a signature that is the code',
    `${web}/callback/signature`,
    { algorithm: 'hmac_sha256_hex', param: 'code' },
    `${web}/callback/signature/param`,
    /cannot hold/,
  ],
  [
    'a form_post without state',
    `${web}/callback`,
    { keep: ['realm'], response_mode: 'form_post', state: 'not_echoed' },
    `${web}/callback/state`,
    /cookie/,
  ],
  ['keeping what never comes', `${signed}/callback`, { mode: 'oob', keep: ['x'] }, `${signed}/callback/keep`, /Out of band/],
  ['a scope that holds the separator', `${web}/scopes/default`, ['read', 'read write'], `${web}/scopes/default/1`, /separator/],
  ['an account without a probe', '/api/probe', undefined, '/api/account', /Needs api.probe/],
  ['a probe for no method', '/api/probe/methods', ['web', 'none'], '/api/probe/methods/1', /no method none/],
];

describe('a definition is refused, with a pointer, for', () => {
  it.each(refusals)('%s', (_, path, value, pointer, words) => {
    const tree = put(sample(), `${web}/inputs/only_web`, { label: 'Only here' });
    expect(check(put(tree, path, value))).toEqual([{ pointer, detail: expect.stringMatching(words) }]);
  });

  it('a method whose name is a number, as it would become the default', () => {
    const tree = put(sample(), '/methods/1', { grant: 'api_key', value: 'x' });
    expect(check(tree)).toEqual([{ pointer: '/methods/1', detail: expect.stringMatching(/number/) }]);
  });

  it('an API that names an input which only one method has', () => {
    const tree = put(put(sample(), `${web}/inputs/only_web`, { label: 'Only here' }), '/api/headers/X', '{only_web}');
    expect(check(tree)).toEqual([{ pointer: '/api/headers/X', detail: expect.stringMatching(/only_web/) }]);
  });

  it('tokens kept from where this provider puts them, and from around there', () => {
    const response = {
      access_token: '/user/token',
      refresh_token: '/r',
      keep: { a: '/user/token', b: '/user', c: '/r', d: '/user/name', account: '/a', home: '/h' },
    };
    expect(check(put(sample(), `${web}/response`, response)).map(({ pointer }) => pointer)).toEqual(
      ['a', 'b', 'c'].map((name) => `${web}/response/keep/${name}`),
    );
  });

  it('an API that is a value from the answer, when the callback may bring it as well', () => {
    const tree = put(put(sample(), '/api/base_url', '{extras.home}'), `${web}/callback/keep`, ['realm', 'home']);
    expect(check(tree)).toEqual([{ pointer: '/api/base_url', detail: expect.stringMatching(/beginning/) }]);
  });

  it('the credentials of api_key and basic when their inputs are not declared', () => {
    const tree = {
      id: 'a',
      name: 'A',
      methods: { key: { grant: 'api_key' }, basic: { grant: 'basic', inputs: { username: { label: 'U', optional: true } } } },
    };
    expect(check(tree).map(({ pointer }) => pointer)).toEqual(['/methods/key/value', '/methods/basic/username', '/methods/basic/password']);
  });

  it('two parameters of a name below a renamed scope', () => {
    const tree = put(put(sample(), `${web}/scopes/param`, 'perms'), `${web}/authorization`, { params: { perms: 'all' } });
    expect(check(tree).map(({ pointer }) => pointer)).toEqual([`${web}/authorization/params/perms`]);
  });
});

describe('with private hosts allowed', () => {
  it.each([
    'http://127.0.0.1:4000/token',
    'http://localhost/token',
    'https://db.internal/token',
    'http://{tenant}.localhost:3000/token',
    'http://{site}/token',
    '{server}/token',
  ])('%s may be called', (address) => {
    expect(check(put(sample(), `${web}/token_endpoint`, address), true)).toEqual([]);
  });

  it.each([
    'ftp://127.0.0.1/',
    'http://a@127.0.0.1/',
    'http://127.0.0.1/#x',
    'http://{nobody}/',
    'http://{key}.localhost/',
    'http://a{tenant}.localhost/',
  ])('%s is refused all the same', (address) => {
    expect(check(put(sample(), `${web}/token_endpoint`, address), true)).toEqual([{ pointer: `${web}/token_endpoint`, detail: expect.any(String) }]);
  });

  it('PLAINTEXT signatures still need https', () => {
    const tree = put(put(sample(), `${signed}/signature_method`, 'PLAINTEXT'), `${signed}/access_token_endpoint`, 'http://127.0.0.1/access_token');
    expect(check(tree, true)).toEqual([{ pointer: `${signed}/access_token_endpoint`, detail: 'PLAINTEXT signatures need https.' }]);
  });
});
