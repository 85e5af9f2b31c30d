import type { SealedRow, SealedTable } from './key-records.ts';
import {
  connectionInputsPlace,
  credentialPlace,
  idempotencyPlace,
  integrationPlace,
  linkInputsPlace,
  linkPlace,
  webhookSecretsPlace,
} from './places.ts';
import type { Place } from './seal.ts';

/** From a row of any table to the places that its ciphertexts are bound to. */

type Named = { project_id: string; id: string; version: number };

const connectionPlaces = {
  credential_sealed: ({ version, ...row }: Named) => credentialPlace({ ...row, token_version: version }),
  inputs_sealed: (row: Named) => connectionInputsPlace(row),
};
const integrationField = (field: Parameters<typeof integrationPlace>[1]) => (row: Named) =>
  integrationPlace({ ...row, secret_version: row.version }, field);
const linkField = (field: Parameters<typeof linkPlace>[1]) => (row: Named) => linkPlace({ ...row, attempt: row.version }, field);

const places: Readonly<Record<Exclude<SealedTable, 'idempotency_keys'>, Readonly<Record<string, (row: Named) => Place>>>> = {
  connections: connectionPlaces,
  integrations: {
    client_secret_sealed: integrationField('client_secret'),
    further_secrets_sealed: integrationField('further_secrets'),
    private_key_sealed: integrationField('private_key'),
    inputs_sealed: integrationField('inputs'),
  },
  webhook_endpoints: { secrets_sealed: (row) => webhookSecretsPlace({ ...row, secret_version: row.version }) },
  connect_links: { pending_sealed: linkField('pending'), answer_sealed: linkField('answer'), inputs_sealed: (row) => linkInputsPlace(row) },
  // What is left of a deleted connection stays bound to where it was.
  revocations: connectionPlaces,
};

/** Throws for a column that has none: each sealed column needs one. */
export function placeOf(table: SealedTable, { key, project_id, version }: SealedRow, column: string): Place {
  const [first = '', second = '', third = ''] = key;
  if (table === 'idempotency_keys') return idempotencyPlace(project_id, second, third);
  const place = places[table][column];
  if (place === undefined) throw new Error(`${table}.${column} has no place.`);
  return place({ project_id, id: table === 'integrations' ? second : first, version });
}
