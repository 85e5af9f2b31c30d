import { templateNames } from '../template.ts';
import { declaredInputs } from './inputs.ts';
import type { Definition, Method } from './schema.ts';
import { apiPlaces, methodPlaces, type Place } from './variables.ts';

const urlsOf = (definition: Definition, method: Method): Place[] => [...methodPlaces(method, []), ...apiPlaces(definition)].filter(({ kind }) => kind === 'url');

/**
 * True when whoever fills in the inputs decides which host is called: an endpoint of the method, or the API, stands on
 * an input with `host: true` or `url: true`. Such a method always gets a callback of its own.
 */
export function hasOpenHost(definition: Definition, method: Method): boolean {
  const inputs = declaredInputs(definition, method);
  return urlsOf(definition, method).some(({ template }) =>
    templateNames(template).some((name) => Object.hasOwn(inputs, name) && (inputs[name]?.host === true || inputs[name]?.url === true)),
  );
}

/**
 * The definition and the method as they are for these values: an endpoint that consists of an optional input without a
 * value is left out, as if the definition had never named it.
 */
export function settleEndpoints<M extends Method>(
  definition: Definition,
  method: M,
  values: Readonly<Record<string, string>>,
): { definition: Definition; method: M } {
  const absent = new Set(
    urlsOf(definition, method)
      .filter(({ mayBeAbsent, template }) => mayBeAbsent && /^\{[^{}.]+\}$/.test(template) && !Object.hasOwn(values, template.slice(1, -1)))
      .map(({ path }) => path.join('.')),
  );
  if (absent.size === 0) return { definition, method };
  const settled = { ...method };
  for (const name of ['issuer', 'revocation_endpoint', 'introspection_endpoint', 'userinfo_endpoint', 'authentication_endpoint']) {
    if (absent.has(name)) Reflect.deleteProperty(settled, name);
  }
  const { base_url: _, ...api } = definition.api;
  return { definition: absent.has('api.base_url') ? { ...definition, api } : definition, method: settled };
}
