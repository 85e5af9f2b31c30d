import { chosenValues } from './definition/choices.ts';
import type { GrantContext } from './grant.ts';

/**
 * What every template of a method may use: the inputs, what choices among them bring along, and our client id. An optional input that nobody gave is empty, and a parameter or
 * header that is made of nothing but empty values is left out.
 */
export function templateValues({
  definition,
  method,
  inputs,
  client,
}: Pick<GrantContext, 'definition' | 'method' | 'inputs' | 'client'>): Record<string, string> {
  const declared = { ...definition.inputs, ...method.inputs };
  const absent = Object.entries(declared)
    .filter(([, input]) => input.optional)
    .map(([name]) => [name, '']);
  return { ...Object.fromEntries(absent), ...chosenValues(declared, inputs), ...inputs, client_id: client.client_id };
}
