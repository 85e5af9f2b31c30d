import { generateKeyPairSync } from 'node:crypto';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/**
 * A borrowed registration: an app that another customer has admitted can have a token of that customer's with its own credentials alone. An end
 * user who is asked which customer she is types the other one's name.
 */

const victim = 'tenant-of-somebody-else';

async function typesAnother(stage: Stage, method: Record<string, unknown>): Promise<boolean> {
  const id = stage.fresh('tenants');
  const inputs = { tenant: { label: 'Tenant', asked_of: 'end_user' } };
  await stage.define(JSON.stringify({ id, name: 'Tenants', inputs, methods: { app: { ...method, token_endpoint: `${stage.evil.url}/token` } } }));
  const jwk = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' };
  const registration = { id, provider: id, client_id: 'app', client_secret: 'secret', private_key_jwk: jwk };
  await stage.root.call('POST', '/v1/integrations', { body: registration });
  stage.mislead(() => '');
  const end_user = { id: stage.fresh('attacker') };
  const link = await stage.root.createConnectLink({ integration: id, end_user }).catch(() => undefined);
  if (link === undefined) return false;
  await (await createBrowser().open(link.url)).submit({ tenant: victim });
  return stage.captured.some((form) => form.get('tenant') === victim || claimsOf(form.get('assertion'))?.['sub'] === victim);
}

function claimsOf(jwt: string | null): Record<string, unknown> | undefined {
  const [, claims] = jwt?.split('.') ?? [];
  return claims === undefined ? undefined : JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
}

const verdict = (asked: boolean) =>
  asked
    ? succeeded('a token of another customer was asked for, in the name of an end user who typed that')
    : stopped('no page asks whose token it is to be');

export const borrowedRegistration: Attack[] = [
  {
    name: 'borrowed registration: the end user types the tenant of somebody else (client credentials)',
    falls: [['caller speaks for the end user']],
    run: async (stage) => verdict(await typesAnother(stage, { grant: 'client_credentials', token: { params: { tenant: '{tenant}' } } })),
  },
  {
    name: 'borrowed registration: the end user types the user whom the app may impersonate (jwt_bearer)',
    falls: [['caller speaks for the end user']],
    run: async (stage) => verdict(await typesAnother(stage, { grant: 'jwt_bearer', assertion: { subject: '{tenant}' } })),
  },
];
