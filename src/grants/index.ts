import type { Method } from '../protocol/definition/schema.ts';
import type { Grant } from '../protocol/grant.ts';
import { apiKey } from './api-key.ts';
import { authorizationCode } from './authorization-code.ts';
import { basic } from './basic.ts';
import { clientCredentials } from './client-credentials.ts';
import { credentialExchange } from './credential-exchange.ts';
import { jwtBearer } from './jwt-bearer.ts';
import { oauth1 } from './oauth1.ts';

/** Every way to obtain a credential, by the name that definitions use for it. */
export const grants: Readonly<Record<Method['grant'], Grant>> = {
  authorization_code: authorizationCode,
  client_credentials: clientCredentials,
  jwt_bearer: jwtBearer,
  oauth1,
  credential_exchange: credentialExchange,
  api_key: apiKey,
  basic,
};

/** The grant of a method. */
export function grantFor(method: Method): Grant {
  return grants[method.grant];
}
