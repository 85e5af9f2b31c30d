import { templateNames } from '../template.ts';
import { namesOtherAudience } from './assertion-audience.ts';
import { isOpenHost } from './choices.ts';
import { type Path, pointerOf } from './faults.ts';
import { declaredInputs } from './inputs.ts';
import type { Api, Definition, Method } from './schema.ts';
import { claimsOf, methodPlaces } from './variables.ts';

/** What is allowed and still worth a second look, each by a stable code. */
export const warningCodes = [
  'no_pkce',
  'pkce_plain',
  'state_not_echoed',
  'callback_unsigned',
  'secret_in_url',
  'token_in_url',
  'weak_signature',
  'no_verifier',
  'no_revocation',
  'scope_separator_unusual',
  'open_host',
  'no_probe',
  'no_account',
  'no_documentation',
  'extends_retired',
  'audience_elsewhere',
] as const;
export type Warning = { pointer: string; code: (typeof warningCodes)[number]; detail: string };
type Found = readonly [when: boolean, path: Path, code: Warning['code'], detail: string];

const listed = (found: readonly Found[]): Warning[] =>
  found.flatMap(([when, path, code, detail]) => (when ? [{ pointer: pointerOf(path), code, detail }] : []));

function codeWarnings(method: Extract<Method, { grant: 'authorization_code' }>, path: Path): Found[] {
  const { code_challenge_method: challenge, callback } = method;
  const at = [...path, 'code_challenge_method'];
  return [
    [challenge === 'none', at, 'no_pkce', 'Without PKCE a stolen code can be redeemed elsewhere. Say S256 unless the provider refuses it.'],
    [
      challenge === 'plain',
      at,
      'pkce_plain',
      'With plain who sees the authorization request can redeem the code. Say S256 unless the provider refuses it.',
    ],
    [
      callback.state === 'not_echoed',
      [...path, 'callback', 'state'],
      'state_not_echoed',
      'Without state the flow is found by the cookie alone; the end user is asked to confirm the account. Say so only of a provider that sends none back.',
    ],
    [
      callback.keep.length > 0 && callback.signature === undefined,
      [...path, 'callback', 'keep'],
      'callback_unsigned',
      'Anybody can write these values into a callback. Do not trust them more than what the end user types; say callback.signature if the provider signs.',
    ],
  ];
}

function oauth1Warnings(method: Extract<Method, { grant: 'oauth1' }>, path: Path): Found[] {
  return [
    [
      method.signature_method === 'PLAINTEXT',
      [...path, 'signature_method'],
      'weak_signature',
      'PLAINTEXT sends the secrets themselves with each request. Say HMAC-SHA256 or HMAC-SHA1 if the provider takes it.',
    ],
    [
      method.callback.verifier === 'absent',
      [...path, 'callback', 'verifier'],
      'no_verifier',
      'Without a verifier somebody else can finish a flow (OAuth 1.0). Say required if the provider speaks 1.0a.',
    ],
  ];
}

function tokenWarnings(method: Extract<Method, { token: unknown }>, path: Path): Found[] {
  const inUrl = (format: string | undefined, verb: string | undefined) => format === 'query' || verb === 'GET';
  const detail = 'Secrets travel in the URL, where servers and proxies write them down. Use a POST with a form if the provider takes it.';
  return [
    [inUrl(method.token.format, method.token.method), [...path, 'token'], 'secret_in_url', detail],
    [inUrl(method.refresh.format, method.refresh.method), [...path, 'refresh'], 'secret_in_url', detail],
    [inUrl(method.revocation.format, method.revocation.method), [...path, 'revocation'], 'secret_in_url', detail],
    [
      namesOtherAudience(method),
      [...path, 'client_assertion', 'audience'],
      'audience_elsewhere',
      'The assertion is for another host than the token endpoint, and who gets it can use it there. Say so only if the provider documents it.',
    ],
    [
      method.revocation_endpoint === undefined,
      path,
      'no_revocation',
      'No revocation: deleting a connection cannot tell the provider. Give revocation_endpoint if there is one.',
    ],
  ];
}

const tokenWarning = (token: Api['token'] | undefined, path: Path): Found => [
  token !== undefined && token.in !== 'header',
  [...path, 'token', 'in'],
  'token_in_url',
  'The token travels in the URL of each call, where servers and proxies write it down. Say header if the provider takes it.',
];

function methodWarnings(definition: Definition, method: Method, path: Path): Found[] {
  const named = new Set(methodPlaces(method, []).flatMap(({ kind, template }) => (kind === 'url' ? templateNames(template) : [])));
  const separator = 'scopes' in method ? method.scopes.separator : ' ';
  return [
    tokenWarning(method.api?.token, [...path, 'api']),
    ...(method.grant === 'authorization_code' ? codeWarnings(method, path) : []),
    ...(method.grant === 'oauth1' ? oauth1Warnings(method, path) : []),
    ...('token' in method ? tokenWarnings(method, path) : []),
    [
      ![' ', ','].includes(separator),
      [...path, 'scopes', 'separator'],
      'scope_separator_unusual',
      'Scopes are separated by a space (RFC 6749), by some with a comma. Check this one against the documentation.',
    ],
    ...Object.entries(declaredInputs(definition, method)).map(([name, input]): Found => {
      const at = Object.hasOwn(method.inputs, name) ? [...path, 'inputs', name] : ['inputs', name];
      const detail = named.has(name)
        ? 'An open host: who fills it in chooses who is sent the client secret, so only an admin may, and integrations get a callback of their own.'
        : 'An open host: who fills it in chooses who is sent the token. If all hosts end alike, write that end into the address instead.';
      return [isOpenHost(input), at, 'open_host', detail];
    }),
  ];
}

/** What is worth a second look in a sound definition; `base`: the one that it extends. The same is told once. */
export function warningsOf(definition: Definition, base?: Definition): Warning[] {
  const { api, documentation } = definition;
  const found = listed([
    [
      base?.status === 'retired',
      ['extends'],
      'extends_retired',
      `${base?.name} has ended its service. Extend another one, or write the definition out.`,
    ],
    [documentation === undefined, [], 'no_documentation', 'Nobody can check these facts. Give the address of the provider’s documentation.'],
    tokenWarning(api.token, ['api']),
    [
      api.probe === undefined,
      ['api'],
      'no_probe',
      'No probe: a credential that the provider has ended is found out late. Give a cheap call as api.probe.',
    ],
    [
      api.probe !== undefined &&
        api.account === undefined &&
        !Object.values(definition.methods).every((method) => claimsOf(method)?.account !== undefined),
      ['api'],
      'no_account',
      'No account: a reconnect with another account is not noticed. Give the pointer to it in the probe’s answer as api.account, or the claim of the ID token as response.id_token.account.',
    ],
    ...Object.entries(definition.methods).flatMap(([name, method]) => methodWarnings(definition, method, ['methods', name])),
  ]);
  return [...new Map(found.map((warning) => [`${warning.pointer} ${warning.code}`, warning])).values()];
}
