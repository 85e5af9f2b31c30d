import { type Fault, GrantryError } from '../../protocol/errors.ts';

/** JSON from outside: what may be in it before any schema looks at it. */

/** Names that would reach an object's prototype have no place in any body. */
const forbiddenNames = new Set(['__proto__', 'constructor', 'prototype']);
const mostDepth = 64;

/** Postgres keeps neither NUL nor half a surrogate pair, and nobody means them. */
const unstorable = /[\u0000\p{Surrogate}]/u;

/** True for text that can be stored and sent back as it is. */
export const isStorableText = (text: string): boolean => !unstorable.test(text);

const step = (name: string | number) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** The first thing in parsed JSON that cannot be accepted whatever the schema; undefined when there is none. */
export function jsonFault(document: unknown): Fault | undefined {
  const left: { value: unknown; pointer: string; depth: number }[] = [{ value: document, pointer: '', depth: 0 }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, pointer, depth } = next;
    if (typeof value === 'string' && !isStorableText(value)) return { pointer, detail: 'Must not hold NUL or half of a surrogate pair.' };
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= mostDepth) return { pointer: '', detail: 'Is nested too deeply.' };
    for (const [name, inner] of Object.entries(value)) {
      if (forbiddenNames.has(name)) return { pointer: pointer + step(name), detail: 'This name is not accepted.' };
      if (!isStorableText(name)) return { pointer, detail: 'A name must not hold NUL or half of a surrogate pair.' };
      left.push({ value: inner, pointer: pointer + step(name), depth: depth + 1 });
    }
  }
  return undefined;
}

/** Parses a body. Throws `invalid_request`. */
export function parseJson(text: string): unknown {
  const refuse = (fault: Fault, cause?: unknown) =>
    new GrantryError('invalid_request', { detail: `The body is not JSON that we accept: ${fault.detail}`, errors: [fault], cause });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw refuse({ pointer: '', detail: 'Must be a JSON document.' }, cause);
  }
  const fault = jsonFault(document);
  if (fault !== undefined) throw refuse(fault);
  return document;
}
