import { withoutEnd } from '../without-end.ts';
import { apiOf } from './api.ts';
import type { Path } from './faults.ts';
import type { Api, Definition, Method } from './schema.ts';

/** What contradicts itself in where the API wants the token: a token in the path needs a base that each call begins with. */

type Found = [Path, string];

const found = (wrong: boolean, path: Path, detail: string): Found[] => (wrong ? [[path, detail]] : []);

/** True when the address begins with the base, as both are written. */
function isBelow(address: string, base: string | undefined): boolean {
  if (base === undefined) return true;
  const root = withoutEnd(base, '/');
  return address.startsWith(root) && /^(?:[/?]|$)/.test(address.slice(root.length));
}

const behind = 'The token stands in the path behind api.base_url: begin this address with that, or write only the path that follows.';

/** Of an API, which a definition has for all or a method for itself. */
export function tokenPlaceFaults({ base_url, token, probe, sign }: Api, path: Path): Found[] {
  const at = [...path, 'token'];
  if (token.in !== 'path') return found(token.prefix !== undefined, [...at, 'prefix'], 'Stands before a token in the path: say scheme, or in: path.');
  return [
    ...found(base_url === undefined, [...at, 'in'], 'A token in the path stands behind api.base_url: give that.'),
    ...found(base_url?.includes('?') === true, [...path, 'base_url'], 'Behind it the token and the path go on: leave the query out.'),
    ...found(token.name !== 'Authorization', [...at, 'name'], 'In the path a token has no name: leave it out.'),
    ...found(token.scheme !== 'Bearer', [...at, 'scheme'], 'In the path there is no scheme: say prefix for what stands before the token.'),
    ...found(sign !== undefined, [...path, 'sign'], 'No signer knows calls with the token in their path: leave one of the two out.'),
    ...found(probe !== undefined && !probe.path.startsWith('/') && !isBelow(probe.path, base_url), [...path, 'probe', 'path'], behind),
  ];
}

/** Of the calls that a method makes with the token besides the probe. */
export function tokenCallFaults(definition: Definition, method: Method, path: Path): Found[] {
  const { base_url, token } = apiOf(definition, method);
  if (token.in !== 'path') return [];
  const calls = method.after.flatMap(({ path: address }, index) =>
    found(!address.startsWith('/') && !isBelow(address, base_url), [...path, 'after', index, 'path'], behind),
  );
  if (!('token' in method) || method.revocation.authentication !== 'access_token' || method.revocation_endpoint === undefined) return calls;
  return [
    ...calls,
    ...found(
      !isBelow(method.revocation_endpoint, base_url),
      [...path, 'revocation_endpoint'],
      'The token stands in the path behind api.base_url: begin this address with that, or write {access_token} into it and say authentication: none.',
    ),
  ];
}
