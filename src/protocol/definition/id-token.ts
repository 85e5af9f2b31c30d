import { apiOf } from './api.ts';
import type { Path } from './faults.ts';
import type { Definition, Method } from './schema.ts';
import { claimsOf } from './variables.ts';

/** What contradicts itself in what a method reads of ID tokens, as paths and sentences. */
export function idTokenFaults(definition: Definition, method: Method, path: Path): [Path, string][] {
  const wanted = claimsOf(method);
  if (wanted === undefined || !('response' in method)) return [];
  const at = [...path, 'response', 'id_token'];
  const kept = new Set([...Object.keys(method.response.keep), ...('callback' in method ? method.callback.keep : [])]);
  const found: [boolean, Path, string][] = [
    [method.grant !== 'authorization_code', at, 'An ID token is about an end user, whom only authorization_code asks: leave this out.'],
    [wanted.account === undefined && Object.keys(wanted.keep).length === 0, at, 'Nothing is read: say account or keep, or leave this out.'],
    [
      wanted.account !== undefined && apiOf(definition, method).account !== undefined,
      [...at, 'account'],
      'The account is named by api.account already: leave one of the two out.',
    ],
    ...Object.keys(wanted.keep).map((name): [boolean, Path, string] => [
      kept.has(name),
      [...at, 'keep', name],
      `${name} is kept of something else already: take another name.`,
    ]),
  ];
  return found.flatMap(([wrong, where, detail]): [Path, string][] => (wrong ? [[where, detail]] : []));
}
