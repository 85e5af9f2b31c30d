import { Credential } from '../protocol/credential.ts';
import type { BasicMethod } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { Grant } from '../protocol/grant.ts';
import { presentRequest } from '../protocol/present.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';

/** User name and password (RFC 7617). Throws `invalid_request` for a colon in the name, a control character, or more than 2,000 characters. */
export const basic: Grant<BasicMethod> = {
  async start(ctx) {
    const username = expandText(ctx.method.username, templateValues(ctx));
    const password = expandText(ctx.method.password, templateValues(ctx));
    if (username === '' || username.includes(':') || !isCredentialText(username)) {
      throw new GrantryError('invalid_request', { detail: 'The user name is empty, too long, or holds a colon or control characters.' });
    }
    if (!isCredentialText(password)) throw new GrantryError('invalid_request', { detail: 'The password is too long or holds control characters.' });
    const credential = new Credential({
      kind: 'basic',
      access_token: username,
      secret: password,
      token_type: 'basic',
      scopes: [],
      lifetimeS: null,
      refreshLifetimeS: null,
      extras: {},
    });
    return { kind: 'credential', credential };
  },
  present: (ctx, credential, request) => presentRequest(ctx, credential.reveal(), request),
};

function isCredentialText(text: string): boolean {
  return text.length <= 2_000 && !/[\p{Cc}\p{Surrogate}]/u.test(text);
}
