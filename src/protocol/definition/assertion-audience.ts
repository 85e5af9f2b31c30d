import type { Path } from './faults.ts';
import { originOf } from './origins.ts';
import type { Method } from './schema.ts';

/**
 * Whom a signed assertion is for. One that names an honest server and is sent to another one can be used there by whoever it was sent to
 * (audience injection): so all that are sent the same audience are one origin.
 */

type TokenMethod = Extract<Method, { token: unknown }>;

const issuerOf = (method: TokenMethod): string | undefined => ('issuer' in method ? method.issuer : undefined);

/** Every address but the token endpoint that is sent the client's assertion, with its place below the method. */
function otherAddressees(method: TokenMethod): [Path, string][] {
  const { refresh, revocation, token_endpoint_auth_method: own } = method;
  const isSent = (how: string | undefined) => how === 'private_key_jwt';
  const all: [boolean, Path, string | undefined][] = [
    [isSent(refresh.token_endpoint_auth_method ?? own), ['refresh', 'endpoint'], refresh.endpoint],
    [isSent(own) && revocation.authentication === 'client', ['revocation_endpoint'], method.revocation_endpoint],
    [isSent(own), ['second_exchange', 'endpoint'], 'second_exchange' in method ? method.second_exchange?.endpoint : undefined],
  ];
  return all.flatMap(([sent, path, address]) => (sent && address !== undefined ? [[path, address] as [Path, string]] : []));
}

const signs = ({ token_endpoint_auth_method, refresh }: TokenMethod): boolean =>
  [token_endpoint_auth_method, refresh.token_endpoint_auth_method].includes('private_key_jwt');

/** What would send an assertion that is for one server to another. */
export function audienceFaults(method: TokenMethod, path: Path): [Path, string][] {
  if (!signs(method)) return [];
  const { token_endpoint, client_assertion } = method;
  const issuer = issuerOf(method);
  // Without either, each address is its own audience.
  if ((client_assertion?.audience ?? issuer) === undefined) return [];
  const origin = originOf(token_endpoint);
  const faults: [Path, string][] = otherAddressees(method)
    .filter(([, address]) => originOf(address) !== origin)
    .map(([at]) => [
      [...path, ...at],
      'Would be sent an assertion that is for the token endpoint: give an address at the same host, or leave issuer and client_assertion.audience out.',
    ]);
  if (client_assertion?.audience === undefined && issuer !== undefined && originOf(issuer) !== origin) {
    faults.push([
      [...path, 'issuer'],
      'The token endpoint would be sent an assertion that is for another host. Say client_assertion.audience if the provider documents that one.',
    ]);
  }
  return faults;
}

/** True when the definition itself names somebody else than the token endpoint as the audience: that is worth a second look. */
export function namesOtherAudience(method: TokenMethod): boolean {
  const audience = method.client_assertion?.audience;
  return signs(method) && audience !== undefined && ![undefined, originOf(method.token_endpoint)].includes(originOf(audience));
}
