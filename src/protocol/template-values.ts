import type { GrantContext } from './grant.ts';

/**
 * What every template of a method may use: the inputs and our client id. An optional input that nobody gave is empty, and a parameter or
 * header that is made of nothing but empty values is left out.
 */
export function templateValues({
  definition,
  method,
  inputs,
  client,
}: Pick<GrantContext, 'definition' | 'method' | 'inputs' | 'client'>): Record<string, string> {
  const declared = Object.entries({ ...definition.inputs, ...method.inputs });
  const absent = declared.filter(([, input]) => input.optional).map(([name]) => [name, '']);
  return { ...Object.fromEntries(absent), ...inputs, client_id: client.client_id };
}
