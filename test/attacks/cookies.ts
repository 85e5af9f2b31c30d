import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { sha256 } from '../../src/broker/secrets.ts';
import { createGrantryClient } from '../../src/client/client.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { freePort } from '../harness/broker.ts';
import { selfSigned } from '../outside/self-signed.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/** Cookies: a sibling domain (cookie tossing) puts the attacker's flow cookie into the victim's browser, so that her flow is his. */

/** A broker behind a proxy that ends TLS, as connect.acme.test; evil.acme.test beside it sets these cookies. */
async function behindTls(stage: Stage, tossed: readonly string[]) {
  const [port, inner] = [await freePort(), await freePort()];
  const origin = `https://connect.acme.test:${port}`;
  const broker = await stage.startAnother({ env: { PORT: String(inner), PUBLIC_URL: origin, TRUST_PROXY: '1' } });
  const proxy = createServer({ ...selfSigned('connect.acme.test', 'evil.acme.test'), keepAliveTimeout: 70_000 }, (incoming, response) => {
    if (incoming.headers.host?.startsWith('evil.')) return void response.writeHead(200, { 'set-cookie': [...tossed] }).end('evil');
    const { method, url, headers } = incoming;
    const outgoing = request({ host: '127.0.0.1', port: inner, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(outgoing.on('error', () => response.destroy()));
  });
  await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  return {
    evil: `https://evil.acme.test:${port}/`,
    root: createGrantryClient({ baseUrl: `http://127.0.0.1:${inner}`, apiKey: broker.broker.rootKey }),
    sql: broker.sql,
    async stop() {
      proxy.close();
      proxy.closeAllConnections();
      await broker.stop();
    },
  };
}

export const cookies: Attack[] = [
  {
    name: "cookies: the attacker's flow cookie beside the victim's, by a sibling domain",
    falls: [['one flow cookie']],
    async run(stage) {
      const [attacker, victim] = [stage.fresh('attacker'), stage.fresh('victim')];
      stage.providers.authorizationServer.switches.autoApprove = { user: victim };
      const [attackers, victims] = [createBrowser(), createBrowser()];
      const authorizeUrl = await stage.begin(await stage.linkTo('own', { end_user: { id: attacker } }), attackers);
      await stage.begin(await stage.linkTo('own', { end_user: { id: victim } }), victims);
      const back = await victims.open(authorizeUrl, { stopBefore: `${stage.url}/oauth/callback` });
      const both = await Promise.all([attackers, victims].map((browser) => browser.cookies.headerFor(`${stage.url}/oauth/callback`, 'lax')));
      const { status } = await stage.visit(back.location ?? '', undefined, { headers: { cookie: both.join('; ') } });
      if (await stage.holds(attacker, victim)) return succeeded("the victim's account is connected to the attacker");
      return stopped(`the callback: ${status}`);
    },
  },
  {
    name: "cookies in Chromium over https: the attacker's flow cookie in a browser that has none yet, by a sibling domain",
    falls: [['cookie of the host alone', 'one flow cookie']],
    async run(stage) {
      const attackers = randomBytes(32).toString('base64url');
      const place = 'Domain=acme.test; Path=/; Secure';
      const secure = await behindTls(stage, [`grantry=${attackers}; ${place}`, `__Host-grantry=${attackers}; ${place}`]);
      const context = await (await stage.chromium()).newContext({ ignoreHTTPSErrors: true });
      try {
        const endpoints = { authorization_endpoint: `${stage.evil.url}/authorize`, token_endpoint: `${stage.evil.url}/token` };
        const definition = { id: 'plain', name: 'Plain', methods: { web: { grant: 'authorization_code', ...endpoints } } };
        await secure.root.call('PUT', '/v1/providers/plain', { body: definition });
        await secure.root.call('POST', '/v1/integrations', { body: { id: 'plain', provider: 'plain', client_id: 'app', client_secret: 'secret' } });
        const link = await secure.root.createConnectLink({ integration: 'plain', end_user: { id: 'victim' } });
        const tab = await context.newPage();
        await tab.goto(secure.evil);
        await tab.goto(link.url);
        stage.mislead(() => `${stage.evil.url}/arrived`);
        stage.serve('/arrived', { headers: { 'content-type': 'text/html' }, body: 'arrived' });
        await Promise.all([tab.waitForResponse((response) => response.request().method() === 'POST'), tab.locator('button[type=submit]').click()]);
        const [row] = await secure.sql<{ browser_hash: Buffer | null }>('select browser_hash from connect_links where id = $1', [link.id]);
        if (!row?.browser_hash) return stopped('her flow does not begin');
        return row.browser_hash.equals(sha256(attackers)) ? succeeded('her flow is begun in his name') : stopped('her flow is begun in her own');
      } finally {
        await context.close();
        await secure.stop();
      }
    },
  },
];
