import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentialPlace } from '../../src/broker/places.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Scene, startScene } from './scene.ts';

/** An account that only the ID token names, at a server that signs real ones. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as } = scene.providers;
  const { methods, ...definition } = JSON.parse(as.definition);
  const web = {
    ...methods.web,
    scopes: { default: ['openid', 'offline_access'] },
    response: { id_token: { account: '/sub', keep: { issued_by: '/iss' } } },
  };
  await scene.define(JSON.stringify({ ...definition, id: 'claims', api: { base_url: '{extras.issued_by}/api' }, methods: { web } }));
  await scene.integrate(as, { id: 'claims', provider: 'claims' });
}, 60_000);
afterAll(() => scene?.stop());

async function connect(user: string, fields: Record<string, unknown> = {}) {
  const link = await scene.linkTo('claims', fields);
  const browser = createBrowser();
  const callback = await scene.approve(await scene.begin(link, browser), browser, { user });
  await scene.visit(callback, browser);
  return link;
}

test('the connection has the account and the extras of the claims, and the API is where a claim says', async () => {
  const id = await scene.connectionOf(await connect('ada'));
  const { url } = scene.providers.authorizationServer;
  expect(await scene.root.call('GET', `/v1/connections/${id}`)).toMatchObject({ account: 'ada', extras: { issued_by: url } });
  expect(await scene.root.getToken(id, { force: true })).toMatchObject({ extras: { issued_by: url } });
  const sign = (at: string) => scene.root.call('POST', `/v1/connections/${id}/sign`, { body: { method: 'GET', url: at } });
  expect(await sign(`${url}/api/me`)).toMatchObject({ url: `${url}/api/me` });
  await expect(sign('https://elsewhere.acme.com/me')).rejects.toMatchObject({ code: 'invalid_request' });
});

test('another account: account_mismatch; the same one is connected again', async () => {
  const id = await scene.connectionOf(await connect('ada'));
  const before = await scene.root.call('GET', `/v1/connections/${id}`);
  await scene.expectFailed(await connect('eve', { connection_id: id }), 'account_mismatch');
  expect(await scene.root.call('GET', `/v1/connections/${id}`)).toEqual(before);
  expect(await scene.connectionOf(await connect('ada', { connection_id: id }))).toBe(id);
});

test('without the scope that brings an ID token nothing is connected', async () => {
  await scene.expectFailed(await connect('ada', { scopes: ['read'] }), 'exchange_failed');
});

test('the ID token is not stored, and a credential that was sealed before is read as ever', async () => {
  const id = await scene.connectionOf(await connect('ada'));
  const { seal, store } = scene.broker.world;
  const row = async () => {
    const found = await store.connections.get('default', id);
    if (found?.credential_sealed == null) throw new Error('There is no credential.');
    const place = credentialPlace(found);
    return { place, opened: JSON.parse(await seal.open(place, found.credential_sealed)) };
  };
  const { place, opened } = await row();
  expect(Object.keys(opened).sort()).toEqual(['access_token', 'kind', 'refresh_token', 'subject', 'token_type']);
  const { subject, ...before } = opened;
  expect([subject, JSON.stringify(before)]).toEqual(['ada', expect.not.stringContaining('eyJ')]);
  await scene.sql('update connections set credential_sealed = $2 where id = $1', [id, await seal.seal(place, JSON.stringify(before))]);
  expect((await scene.root.getToken(id, { force: true })).access_token).not.toBe(opened.access_token);
  expect((await row()).opened).toMatchObject({ subject: 'ada' });
});

test('a test says that the account was found', async () => {
  const made = await scene.root.call<{ url: string; trace: string }>('POST', '/v1/integrations/claims/test', { body: {} });
  const browser = createBrowser();
  const left = await (await browser.open(made.url)).submit({}, undefined, { stopBefore: 'http://127.0.0.1' });
  await scene.visit(await scene.approve(left.location ?? '', browser), browser);
  const { steps } = await scene.root.call<{ steps: { step: string; what: string }[] }>('GET', made.trace);
  expect(steps.find(({ step }) => step === 'understood')?.what).toContain('The ID token names the account.');
  expect(JSON.stringify(steps)).not.toContain('eyJ');
});
