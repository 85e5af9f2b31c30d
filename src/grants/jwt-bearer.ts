import { Credential, type CredentialFields } from '../protocol/credential.ts';
import type { JwtBearerMethod } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { Grant, GrantContext } from '../protocol/grant.ts';
import { expandParameters } from '../protocol/parameters.ts';
import { presentRequest } from '../protocol/present.ts';
import { algorithmOf, readPrivateKey } from '../protocol/private-key.ts';
import { joinScopes } from '../protocol/scopes.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';
import { endpointUrl } from './endpoint.ts';
import { refreshCredential, withoutIdleRefreshToken } from './refresh.ts';
import { revokeCredential } from './revocation.ts';
import { registeredKey, type SigningKey, signedJwt } from './signed-jwt.ts';
import { assertionAudience, requestToken } from './token-endpoint.ts';

/**
 * A signed JWT as the authorization (RFC 7523 section 2.1): of the integration, in whose name a customer has let it speak, or of a service account
 * whose key the end user hands over. Each token is asked for with a fresh one.
 */
export const jwtBearer: Grant<JwtBearerMethod> = {
  async start(ctx, { scopes }) {
    return { kind: 'credential', credential: new Credential(await issue(ctx, scopes)) };
  },
  refresh: (ctx, credential) => refreshCredential(ctx, credential, (scopes) => issue(ctx, scopes)),
  revoke: (ctx, credential) => revokeCredential(ctx, credential),
  present: (ctx, credential, request) => presentRequest(ctx, credential.reveal(), request),
};

async function issue(ctx: GrantContext<JwtBearerMethod>, scopes: readonly string[]): Promise<CredentialFields> {
  const { method } = ctx;
  const scope = joinScopes(scopes, method.scopes);
  const assertion = await assertionOf(ctx, scope ?? '');
  const standard = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion, scope };
  const values = { scope: scope ?? '', assertion };
  return withoutIdleRefreshToken(method, await requestToken(ctx, { standard, params: method.token.params, values, requested: scopes }));
}

/** Throws `invalid_client` when the integration's key cannot sign, `invalid_grant` when the end user's cannot. */
async function assertionOf(ctx: GrantContext<JwtBearerMethod>, scope: string): Promise<string> {
  const { method, client, now, random } = ctx;
  const { issuer, subject, audience, claims } = method.assertion;
  const values = { ...templateValues(ctx), scope };
  const url = endpointUrl(ctx, method.token_endpoint);
  const said = {
    issuer: expandText(issuer, values),
    subject: (subject === undefined ? '' : expandText(subject, values)) || undefined,
    audience: assertionAudience(ctx, { url, named: audience === undefined ? undefined : expandText(audience, values) }),
    claims: Object.fromEntries(expandParameters(claims, values)),
    now: now(),
    jti: random(16),
  };
  const given = givenKey(method.assertion, values);
  try {
    return await signedJwt(given ?? (await registeredKey(client)), said);
  } catch (cause) {
    if (cause instanceof GrantryError) throw cause;
    if (given === undefined) throw new GrantryError('invalid_client', { detail: "The integration's private key cannot sign.", cause });
    throw new GrantryError('invalid_grant', { detail: `The private key that was given cannot sign with ${given.alg}.`, cause });
  }
}

/** The key that came as an input; undefined when the integration's signs. */
function givenKey({ key, key_id }: JwtBearerMethod['assertion'], values: Readonly<Record<string, string>>): SigningKey | undefined {
  if (key === undefined) return undefined;
  const read = readPrivateKey(expandText(key, values));
  const alg = read === undefined ? undefined : algorithmOf(read);
  if (read === undefined || alg === undefined) {
    throw new GrantryError('invalid_grant', {
      detail: 'What was given is not a private key in PEM form that can sign (RSA of 2048 bits at least, P-256, P-384, P-521 or Ed25519).',
    });
  }
  const kid = key_id === undefined ? '' : expandText(key_id, values);
  return { key: read, alg, ...(kid !== '' && { kid }) };
}
