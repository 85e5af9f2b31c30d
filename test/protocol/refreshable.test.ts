import { expect, test } from 'vitest';
import { methodSchema } from '../../src/protocol/definition/schema.ts';
import { canRefresh } from '../../src/protocol/refreshable.ts';

const url = 'https://as.acme.com/x';
const code = { grant: 'authorization_code', authorization_endpoint: url, token_endpoint: url };

test.each([
  [code, true, false],
  [{ ...code, refresh: { how: 'none' } }, false, false],
  [{ ...code, refresh: { how: 'exchange_current' } }, true, true],
  [{ ...code, refresh: { how: 'reissue' } }, false, false],
  [{ grant: 'client_credentials', token_endpoint: url }, true, true],
  [{ grant: 'client_credentials', token_endpoint: url, refresh: { how: 'refresh_token' } }, true, false],
  [{ grant: 'jwt_bearer', token_endpoint: url }, true, true],
  [{ grant: 'credential_exchange', token_endpoint: url }, true, true],
  [{ grant: 'api_key' }, false, false],
  [{ grant: 'basic' }, false, false],
  [{ grant: 'oauth1', request_token_endpoint: url, authorization_endpoint: url, access_token_endpoint: url }, false, false],
])('%o: with a refresh token %s, without %s', (method, withToken, without) => {
  const parsed = methodSchema.parse(method);
  expect(canRefresh(parsed, { refresh_token: 'rt' })).toBe(withToken);
  expect(canRefresh(parsed, {})).toBe(without);
});
