import { templateInputs } from '../protocol/definition/choices.ts';
import type { Method } from '../protocol/definition/schema.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { expandUrl, templateNames } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';

/** An endpoint of the method as it is called. Throws `invalid_request` or `address_refused`. */
export function endpointUrl(ctx: GrantContext<Method>, template: string, values = templateValues(ctx)): string {
  return expandUrl(template, values, { inputs: templateInputs(ctx.definition, ctx.method), allowPrivateHosts: ctx.allowPrivateHosts });
}

/** The same for an endpoint that may be left out: undefined too when it is made of an optional input that nobody gave. */
export function optionalEndpointUrl(ctx: GrantContext<Method>, template: string | undefined, values = templateValues(ctx)): string | undefined {
  if (template === undefined || templateNames(template).some((name) => values[name] === '')) return undefined;
  return endpointUrl(ctx, template, values);
}
