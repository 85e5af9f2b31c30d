import type { Method } from '../protocol/definition/schema.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { expandUrl } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';

/** An endpoint of the method as it is called. Throws `invalid_request` or `address_refused`. */
export function endpointUrl(ctx: GrantContext<Method>, template: string, values = templateValues(ctx)): string {
  const inputs = { ...ctx.definition.inputs, ...ctx.method.inputs };
  return expandUrl(template, values, { inputs, allowPrivateHosts: ctx.allowPrivateHosts });
}
