import { parseOutsideUrl } from '../protocol/address.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { ApiRequest, PresentedRequest } from '../protocol/grant.ts';
import { apiBase, presentCredential } from './account.ts';
import { getConnection } from './connections.ts';
import { openCredential } from './credentials.ts';
import { connectionContext } from './refresh.ts';
import type { TokenRow } from './store.ts';
import { getToken } from './tokens.ts';
import type { World } from './world.ts';

/**
 * The request as it must be sent: the credential added, the URL exactly as it was signed. The token is fresh (60 s at least).
 * Only for the provider's own API where the definition says where that is. Throws `invalid_request`, `unsupported` (a signature that
 * would show the consumer secret) and what `getToken` throws.
 */
export async function signRequest(world: World, row: TokenRow, request: ApiRequest): Promise<PresentedRequest> {
  const refuse = (detail: string) => new GrantryError('invalid_request', { detail, errors: [{ pointer: '/url', detail }] });
  let url: URL;
  try {
    url = parseOutsideUrl(request.url, { allowPrivateHosts: world.allowPrivateHosts });
  } catch (error) {
    if (isGrantryError(error)) throw refuse(error.message);
    throw error;
  }
  await getToken(world, row, { minTtlS: 60, force: false });
  const connection = await getConnection(world, row.project_id, row.id);
  const { ctx } = await connectionContext(world, connection);
  if (ctx.method.grant === 'oauth1' && ctx.method.signature_method === 'PLAINTEXT' && ctx.method.response.api_key === undefined) {
    throw new GrantryError('unsupported', { detail: 'A PLAINTEXT signature is the consumer secret itself, which never leaves the broker.' });
  }
  const credential = await openCredential(world, connection);
  const base = apiBase(ctx, credential);
  if (base !== undefined && new URL(base).origin !== url.origin) throw refuse(`The credential is for ${new URL(base).host} only.`);
  return presentCredential(ctx, credential, request);
}
