/** A body for each call that takes one: right in its form, so that only what a test breaks is wrong. */
export const bodies: Readonly<Record<string, unknown>> = {
  'post /v1/integrations/:id/test': { scopes: ['read'], inputs: {}, expires_in: 900 },
  'post /v1/providers/discover': { issuer: 'https://login.example.com' },
  'post /v1/providers/:id/rollback': { version: 1 },
  'post /v1/projects': { id: 'another', name: 'Another' },
  'patch /v1/projects/:id': { name: 'Renamed' },
  'post /v1/api-keys': { name: 'worker', scopes: ['tokens'] },
  'post /v1/integrations': { id: 'made', provider: 'sandbox-as', client_id: 'id', client_secret: 'secret' },
  'patch /v1/integrations/:id': { scopes: ['read'] },
  'post /v1/connect-links': { integration: 'as', end_user: { id: 'u1' } },
  'post /v1/connect-links/:id/confirm': { nonce: 'x'.repeat(43), end_user_id: 'u1' },
  'post /v1/connections': { integration: 'as', end_user: { id: 'u1' }, import: { access_token: 'at' } },
  'patch /v1/connections/:id': { metadata: { plan: 'gold' } },
  'post /v1/connections/:id/sign': { method: 'GET', url: 'https://api.example.com/me' },
  'post /v1/webhook-endpoints': { url: 'https://receiver.example.com/hook', event_types: ['connection.created'] },
  'patch /v1/webhook-endpoints/:id': { status: 'enabled' },
  'post /v1/webhook-endpoints/:id/rotate-secret': { overlap: 60 },
};
