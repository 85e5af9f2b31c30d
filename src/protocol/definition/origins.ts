import { templateNames } from '../template.ts';
import { apiOf } from './api.ts';
import { pointerOf } from './faults.ts';
import type { Definition, Method } from './schema.ts';
import { apiPlaces, methodPlaces } from './variables.ts';

/** Which servers a definition names: scheme and host of its addresses, as they are written there. */

/** Scheme and host of a template, or the variable that stands for them; undefined for what is relative to something else. */
export function originOf(template: string): string | undefined {
  const [origin] = /^(?:[a-z]+:\/\/[^/?#]*|\{[^{}]*\})/i.exec(template) ?? [];
  return origin?.replace(/^[^{]*/, (fixed) => fixed.toLowerCase()).replace(/^(https:.*):443$/, '$1');
}

/** What is never called on the way to a connection. */
const unused = new Set(['/introspection_endpoint', '/userinfo_endpoint']);

/**
 * Those of the addresses of a method and its API, by the pointer of each below the method. Where inputs stand in one, what a definition says of
 * their values belongs to it.
 */
export function methodOrigins(definition: Definition, method: Method): ReadonlyMap<string, string> {
  const places = [...methodPlaces(method, []), ...apiPlaces(apiOf(definition, method), [method], ['api'])];
  const inputs = Object.entries({ ...definition.inputs, ...method.inputs });
  const said = (name: string) =>
    inputs.map(([input, { default: standard, choices = {} }]) => [
      ...(input === name ? [standard] : []),
      ...Object.entries(choices).flatMap(([choice, { sets }]) => (Object.hasOwn(sets, name) ? [[input, standard, choice, sets[name]]] : [])),
    ]);
  return new Map(
    places.flatMap(({ kind, template, path }) => {
      const origin = kind === 'url' && !unused.has(pointerOf(path)) ? originOf(template) : undefined;
      return origin === undefined ? [] : [[pointerOf(path), JSON.stringify([origin, ...templateNames(origin).map(said)])] as const];
    }),
  );
}
