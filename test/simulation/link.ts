import type { LinkRecord } from '../../src/broker/records.ts';
import { definitions } from './definition.ts';

export const project = 'default';

const snapshot = { definition: definitions.get('rotating')!, provider_version: null, method: 'web', client_id: 'client' };

/** A link that waits for its exchange. */
export const linkOf = (reconnects: string, integration: string): LinkRecord => ({
  id: 'lnk_1',
  project_id: project,
  integration_id: integration,
  purpose: 'connect',
  token_hash: Buffer.alloc(0),
  status: 'exchanging',
  end_user: { id: 'u1' },
  return_url: null,
  scopes: [],
  inputs_sealed: null,
  metadata: {},
  reconnects,
  verification: 'browser',
  page: 'shown',
  endpoint: 'authorization',
  snapshot,
  redirect_uri: '',
  expires_at: new Date(0),
  created_at: new Date(0),
  browser_hash: null,
  state_hash: null,
  state_expires_at: null,
  attempt: 1,
  pending_sealed: null,
  answer_sealed: null,
  nonce_hash: null,
  nonce_expires_at: null,
  connection_id: null,
  error_code: null,
  error_detail: null,
  finished_at: null,
});
