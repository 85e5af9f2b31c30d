import { Credential } from '../protocol/credential.ts';
import { apiOf } from '../protocol/definition/api.ts';
import type { ApiKeyMethod } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { Grant } from '../protocol/grant.ts';
import { isPresentable, presentRequest } from '../protocol/present.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';
import { isTokenText } from '../protocol/token-text.ts';

/** A key that the provider's own pages give out: nothing is asked of the provider. Throws `invalid_request` when it could not be sent. */
export const apiKey: Grant<ApiKeyMethod> = {
  async start(ctx) {
    const value = expandText(ctx.method.value, templateValues(ctx));
    if (!isTokenText(value))
      throw new GrantryError('invalid_request', { detail: 'The API key is empty or holds characters that no header can carry.' });
    if (!isPresentable(apiOf(ctx.definition, ctx.method), value))
      throw new GrantryError('invalid_request', { detail: 'The API key cannot stand in the path of a call, where this provider wants it.' });
    const credential = new Credential({
      kind: 'api_key',
      access_token: value,
      token_type: 'api_key',
      scopes: [],
      lifetimeS: null,
      refreshLifetimeS: null,
      extras: {},
    });
    return { kind: 'credential', credential };
  },
  present: (ctx, credential, request) => presentRequest(ctx, credential.reveal(), request),
};
