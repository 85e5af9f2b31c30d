import type { CredentialFields } from './credential.ts';
import type { Method } from './definition/schema.ts';

export type RefreshHow = 'refresh_token' | 'exchange_current' | 'reissue' | 'none';

/** How a method's credentials are renewed; what RFC 6749 says (sections 6 and 4.4.3) where the definition says nothing. */
export function refreshHow(method: Method): RefreshHow {
  switch (method.grant) {
    case 'authorization_code':
      return method.refresh.how ?? 'refresh_token';
    case 'client_credentials':
    case 'jwt_bearer':
    case 'credential_exchange':
      return method.refresh.how ?? 'reissue';
    default:
      return 'none';
  }
}

/** True when this credential of this method can be renewed without its end user. */
export function canRefresh(method: Method, fields: Pick<CredentialFields, 'refresh_token'>): boolean {
  switch (refreshHow(method)) {
    case 'refresh_token':
      return fields.refresh_token !== undefined;
    case 'exchange_current':
      return true;
    case 'reissue':
      return method.grant !== 'authorization_code';
    case 'none':
      return false;
  }
}
