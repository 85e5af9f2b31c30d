import { createHmac } from 'node:crypto';
import { Sealed } from '../protocol/sealed.ts';
import { webhookSecretsPlace } from './places.ts';
import type { WebhookEndpointRecord } from './webhook-records.ts';
import type { World } from './world.ts';

/** Standard Webhooks (standardwebhooks.com): `v1` signatures, HMAC-SHA256 with a secret of 32 bytes. */

/** Secrets in base64, the one that signs first. */
export type SigningSecrets = Sealed<readonly string[]>;

type SecretRow = Pick<WebhookEndpointRecord, 'project_id' | 'id' | 'secret_version'>;

export const newSigningSecret = (world: Pick<World, 'random'>): string => world.random(32).toString('base64');

/** A secret as integrators know it. */
export const shownSecret = (secret: string): string => `whsec_${secret}`;

export const sealSecrets = (world: Pick<World, 'seal'>, row: SecretRow, secrets: readonly string[]): Promise<string> =>
  world.seal.seal(webhookSecretsPlace(row), JSON.stringify(secrets));

export async function openSecrets(
  world: Pick<World, 'seal'>,
  row: SecretRow & Pick<WebhookEndpointRecord, 'secrets_sealed'>,
): Promise<SigningSecrets> {
  return new Sealed(JSON.parse(await world.seal.open(webhookSecretsPlace(row), row.secrets_sealed)));
}

/** The secrets that sign now: the second one only while the first one is being rolled out. */
export const activeSecrets = (secrets: SigningSecrets, { previous_secret_until }: Pick<WebhookEndpointRecord, 'previous_secret_until'>, now: Date) =>
  new Sealed(secrets.reveal().slice(0, previous_secret_until !== null && previous_secret_until > now ? 2 : 1));

/** The headers of one attempt. The id is the event's, the same in every attempt, so that a receiver knows what it has seen. */
export function signedHeaders(secrets: SigningSecrets, { id, at, body }: { id: string; at: Date; body: string }): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signature = (secret: string) =>
    `v1,${createHmac('sha256', Buffer.from(secret, 'base64')).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': secrets.reveal().map(signature).join(' ') };
}
