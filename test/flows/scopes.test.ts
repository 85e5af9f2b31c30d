import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Scene, startScene } from './scene.ts';

/** What was granted, what is missing of what was asked for, and how it is asked for again. */

type Connection = { scopes: string[]; missing_scopes: string[] };
type Told = { type: string; why: string | null; next: string | null; data: Record<string, unknown> };

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as } = scene.providers;
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as', scopes: ['read', 'offline_access'] });
  const definition = JSON.parse(as.definition);
  const { web } = definition.methods;
  const scopes = { default: ['read'], implied: { profile: ['write'] }, unreturned: ['email'] };
  await scene.define(JSON.stringify({ ...definition, id: 'ruled', methods: { web: { ...web, scopes } } }));
  await scene.integrate(as, { id: 'ruled', provider: 'ruled' });
});
afterAll(() => scene?.stop());

const connectionOf = (id: string) => scene.root.call<Connection>('GET', `/v1/connections/${id}`);
const listed = async (query: string) =>
  (await scene.root.call<{ data: { id: string }[] }>('GET', `/v1/connections?${query}`)).data.map(({ id }) => id);
const eventOf = async (id: string, type: string) =>
  (await scene.root.call<{ data: Told[] }>('GET', `/v1/connections/${id}/events`)).data.find((event) => event.type === type);

async function connect(integration: string, fields: Record<string, unknown>, withheld: string[] = []) {
  const { switches } = scene.providers.authorizationServer;
  switches.withheldScopes = withheld;
  const link = await scene.linkTo(integration, fields);
  const page = await (await createBrowser().open(link.url)).submit();
  const done = await page.submit({ user: 'ada' }, 'Approve');
  switches.withheldScopes = [];
  return { link, page, done, id: await scene.connectionOf(link) };
}

test('too little was granted: the link, the page, the connection, the token and the timeline say so', async () => {
  const { link, done, id } = await connect('as', { scopes: ['read', 'write', 'profile', 'offline_access'] }, ['write', 'profile']);
  const missing = ['write', 'profile'];
  expect(done.text).toContain('Not everything that was asked for was allowed');
  for (const scope of missing) expect(done.html).toContain(`<code dir="auto">${scope}</code>`);
  expect(await scene.stateOf(link)).toMatchObject({ status: 'connected', missing_scopes: missing });
  expect(await connectionOf(id)).toMatchObject({ scopes: ['read', 'offline_access'], missing_scopes: missing });
  expect(await scene.root.getToken(id)).toMatchObject({ missing_scopes: missing });
  const created = await eventOf(id, 'connection.created');
  expect(created?.data).toMatchObject({ missing_scopes: missing });
  expect(created?.why).toContain('these are missing: write, profile.');
  expect(created?.next).toContain('make a new link for this connection');
  expect(await listed('missing_scopes=true')).toEqual([id]);
  expect(await listed('missing_scopes=false')).not.toContain(id);

  await scene.root.getToken(id, { force: true });
  expect(await connectionOf(id)).toMatchObject({ missing_scopes: missing });
});

test('a reconnect asks for what was asked for before and for more, and the connection has all of it', async () => {
  const first = await connect('as', { scopes: ['read', 'offline_access'] });
  expect(first.done.text).not.toContain('Not everything');
  expect(await connectionOf(first.id)).toMatchObject({ missing_scopes: [] });
  const again = await connect('as', { scopes: ['write'], connection_id: first.id });
  expect(again.id).toBe(first.id);
  const { scopes, missing_scopes } = await connectionOf(first.id);
  expect([scopes.sort(), missing_scopes]).toEqual([['offline_access', 'read', 'write'], []]);
  await connect('as', { connection_id: first.id });
  expect((await connectionOf(first.id)).scopes.sort()).toEqual(['offline_access', 'read', 'write']);
  await connect('as', { scopes: ['profile'], connection_id: first.id }, ['profile']);
  expect(await connectionOf(first.id)).toMatchObject({ missing_scopes: ['profile'] });
  expect((await eventOf(first.id, 'connection.reconnected'))?.why).toContain('profile');
  expect((await listed('missing_scopes=true')).includes(first.id)).toBe(true);
});

test("the definition's rules decide what is missing", async () => {
  const { id, done } = await connect('ruled', { scopes: ['profile', 'write', 'email', 'read'] }, ['write', 'email']);
  expect(done.text).not.toContain('Not everything');
  expect(await connectionOf(id)).toMatchObject({ missing_scopes: [] });
});
