import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { expectThat, type Scene } from './scenes.ts';

/** What goes on while nobody asks: refreshes ahead of time, and webhooks that tell of them. */

type Told = { type: string; data: { connection_id: string | null; what: string; next: string | null } };
type Hook = { headers: IncomingHttpHeaders; body: string };

/** The integrator's endpoint: keeps what it is sent. */
async function startReceiver() {
  const hooks: Hook[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      hooks.push({ headers: req.headers, body: Buffer.concat(chunks).toString() });
      res.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { hooks, url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/hooks`, server };
}

/** As the Standard Webhooks specification says. */
function isSigned({ headers, body }: Hook, secret: string): boolean {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const signature = createHmac('sha256', key).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64');
  return String(headers['webhook-signature']).split(' ').includes(`v1,${signature}`);
}

export const background: Scene = {
  title: 'Nobody asks, and the token is fresh all the same; a signed webhook tells of it',
  async play({ stage, people, report, connections }) {
    const as = stage.sandbox.providers.authorizationServer;
    const { hooks, url, server } = await startReceiver();
    try {
      const { secret } = await stage.admin.call<{ secret: string }>('POST', '/v1/webhook-endpoints', {
        body: { url, event_types: ['connection.refreshed'] },
      });
      report.step('the admin adds a webhook endpoint');
      const usual = as.switches.accessTokenTtlS;
      as.switches.accessTokenTtlS = 6;
      const link = await stage.integration.createConnectLink({ integration: 'web', end_user: { id: 'lin', display_name: 'Lin' } });
      const person = await people.person();
      const consent = await (await person.open(link.url)).press('Continue to');
      await consent.press('Approve', { user: 'lin' });
      await person.close();
      as.switches.accessTokenTtlS = usual;
      const { connection_id } = await stage.integration.getConnectLink(link.id);
      expectThat(connection_id !== null, 'the link is not connected');
      connections.push({ id: connection_id, note: 'authorization_code, refreshed ahead of time' });
      report.step('a person connects; her token lives for six seconds');
      const about = () => hooks.find(({ body }) => (JSON.parse(body) as Told).data.connection_id === connection_id);
      for (let i = 0; i < 400 && about() === undefined; i += 1) await new Promise((resolve) => setTimeout(resolve, 50));
      const hook = about();
      expectThat(hook !== undefined, 'no webhook told of a refresh');
      expectThat(isSigned(hook, secret), 'the signature of the webhook is wrong');
      const told: Told = JSON.parse(hook.body);
      report.done(`refreshed by itself; the webhook is signed and says: "${told.data.what}"`);
      const { refresh_count } = await stage.integration.call<{ refresh_count: number }>('GET', `/v1/connections/${connection_id}`);
      expectThat(refresh_count === 1, `it was refreshed ${refresh_count} times`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
};
