import { templateNames } from '../template.ts';
import { isOpenHost } from './choices.ts';
import type { Definition, Input, Method } from './schema.ts';
import { methodPlaces } from './variables.ts';

/**
 * Who may say which host a method calls. Whoever chooses the host of an endpoint is sent the client secret, and other people's
 * codes: so an input with `host: true` or `url: true` that stands in an endpoint belongs to the integration, whatever else the
 * definition says of it. A list of hosts to choose from was written by whoever wrote the definition, and anybody may choose.
 */
export function withOwners(definition: Definition): Definition {
  const methods = Object.entries(definition.methods).map(([id, method]): [string, Method] => [
    id,
    { ...method, inputs: owned(method.inputs, hostsOf(method)) },
  ]);
  const hosts = new Set(Object.values(definition.methods).flatMap((method) => [...hostsOf(method)]));
  return { ...definition, inputs: owned(definition.inputs, hosts), methods: Object.fromEntries(methods) };
}

/** The names of the inputs that stand in the method's addresses. */
function hostsOf(method: Method): Set<string> {
  const addresses = methodPlaces(method, []).filter(({ kind }) => kind === 'url');
  return new Set(addresses.flatMap(({ template }) => templateNames(template)));
}

function owned(inputs: Record<string, Input>, hosts: ReadonlySet<string>): Record<string, Input> {
  const entries = Object.entries(inputs).map(([name, input]): [string, Input] => {
    const choosesHost = isOpenHost(input) && hosts.has(name);
    return [name, choosesHost ? { ...input, asked_of: 'integration' } : input];
  });
  return Object.fromEntries(entries);
}
