import { originOf } from './origins.ts';
import type { Method } from './schema.ts';

type TokenMethod = Extract<Method, { token: unknown }>;

const signs = ({ token_endpoint_auth_method, refresh }: TokenMethod): boolean =>
  [token_endpoint_auth_method, refresh.token_endpoint_auth_method].includes('private_key_jwt');

/** True when the definition itself names somebody else than the token endpoint as the audience of an assertion: that is worth a second look. */
export function namesOtherAudience(method: TokenMethod): boolean {
  const named = [
    signs(method) ? method.client_assertion?.audience : undefined,
    method.grant === 'jwt_bearer' ? method.assertion.audience : undefined,
  ];
  return named.some((audience) => audience !== undefined && ![undefined, originOf(method.token_endpoint)].includes(originOf(audience)));
}
