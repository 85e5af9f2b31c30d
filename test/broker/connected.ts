import { createBrowser } from '../../src/sandbox/browser.ts';
import type { startWholeSandbox } from '../harness/broker.ts';

export type Whole = Awaited<ReturnType<typeof startWholeSandbox>>;

/** Puts the sandbox's authorization server in place as integration `as`; consent is given by itself. */
export async function withAuthorizationServer(world: Whole): Promise<void> {
  const as = world.sandbox.providers.authorizationServer;
  await world.root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const { client_id, client_secret } = as.client;
  const integration = await world.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', client_id, client_secret },
  });
  as.registerRedirectUri(integration.redirect_uri);
  as.switches.autoApprove = { user: 'ada' };
}

/** Connects one end user at an integration that approves by itself; the id of the connection. */
export async function connect(world: Whole, integration = 'as', endUser = 'u1'): Promise<string> {
  const link = await world.root.createConnectLink({ integration, end_user: { id: endUser } });
  const page = await createBrowser().open(link.url);
  await page.submit();
  const { connection_id, error } = await world.root.getConnectLink(link.id);
  if (connection_id === null) throw new Error(`not connected: ${JSON.stringify(error)}`);
  return connection_id;
}

/** The token of a connection ends now. */
export const expire = (world: Whole, id: string) =>
  world.sql(`update connections set issued_at = now() - interval '1 hour', expires_at = now() - interval '1 second' where id = $1`, [id]);
