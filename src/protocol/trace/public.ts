import { declaredInputs } from '../definition/inputs.ts';
import { isGrantryError } from '../errors.ts';
import type { GrantContext } from '../grant.ts';
import { expandText } from '../template.ts';
import { templateValues } from '../template-values.ts';
import { createMasks, type Masks } from './masks.ts';

/** Every text in a definition, wherever it stands. */
function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* textsOf(inner);
}

/** The members of a private JWK (RFC 7518 section 6) that are secret. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'];

function expanded(template: string, values: Record<string, string>): string | undefined {
  try {
    return expandText(template, values);
  } catch (error) {
    if (isGrantryError(error)) return undefined;
    throw error;
  }
}

/**
 * The masks of one flow. Public is what the definition itself says, its templates completed with public values, our client id, the redirect
 * URI, the scopes, and inputs that are not secret; secret are the registration's secrets and the other inputs.
 */
export function masksOf(ctx: GrantContext, { redirectUri, scopes }: { redirectUri: string; scopes: readonly string[] }): Masks {
  const { definition, method, client, inputs } = ctx;
  const masks = createMasks();
  masks.learn('client_secret', client.client_secret);
  for (const member of privateMembers) {
    const value = client.private_key_jwk?.[member];
    if (typeof value === 'string') masks.learn('private key', value);
  }
  const declared = declaredInputs(definition, method);
  const secret = Object.entries(inputs).filter(([name]) => declared[name]?.secret !== false);
  for (const [name, value] of secret) masks.learn(name, value);
  if (method.grant === 'api_key') masks.learn('API key', expanded(method.value, templateValues(ctx)));
  if (method.grant === 'basic') masks.learn('password', expanded(method.password, templateValues(ctx)));

  const separator = 'scopes' in method ? method.scopes.separator : ' ';
  const open = { ...templateValues(ctx), redirect_uri: redirectUri, scope: scopes.join(separator) };
  const values = Object.fromEntries(Object.entries(open).filter(([name]) => !secret.some(([hidden]) => hidden === name)));
  for (const text of [...Object.values(values), ...scopes]) masks.allow(text);
  for (const template of textsOf({ methods: method, api: definition.api })) {
    const text = expanded(template, values);
    if (text !== undefined) masks.allow(text);
  }
  return masks;
}
