import { pointerOf } from './faults.ts';
import type { Method } from './schema.ts';
import { methodPlaces } from './variables.ts';

/** Which servers a definition names: scheme and host of its addresses, as they are written there. */

/** Scheme and host of a template, or the variable that stands for them; undefined for what is relative to something else. */
export function originOf(template: string): string | undefined {
  const [origin] = /^(?:[a-z]+:\/\/[^/?#]*|\{[^{}]*\})/i.exec(template) ?? [];
  return origin?.toLowerCase().replace(/^(https:.*):443$/, '$1');
}

/** Those of a method's addresses, by the pointer of each below the method. */
export function methodOrigins(method: Method): ReadonlyMap<string, string> {
  return new Map(
    methodPlaces(method, []).flatMap(({ kind, template, path }) => {
      const origin = kind === 'url' ? originOf(template) : undefined;
      return origin === undefined ? [] : [[pointerOf(path), origin] as const];
    }),
  );
}
