import type { Method } from '../protocol/definition/schema.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';

/**
 * What requests carry as redirect_uri: the address of our callback, or the name that the provider has for it. The callback itself has to
 * arrive at that address in any case. Throws `invalid_request` when a template's value is missing.
 */
export function sentRedirectUri(ctx: GrantContext<Method>, ours: string): string {
  const { method } = ctx;
  if (method.grant !== 'authorization_code' || method.redirect_uri === undefined) return ours;
  return expandText(method.redirect_uri, templateValues(ctx));
}
