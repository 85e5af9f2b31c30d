import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Listener, listen } from '../../src/sandbox/listener.ts';
import { exchanges, type Scene, startScene } from './scene.ts';

/**
 * Cross-app attacks (COAT, CORF: Luo et al., USENIX Security 2025; the IETF's OAuth security topics update): a malicious provider that one
 * of our projects has added tries to get at the codes of an honest one, or to have its own code taken for the honest one's.
 */

let scene: Scene;
let evil: Listener;
/** Codes and requests that reached the evil token endpoint. */
let captured: string[];
/** Where the evil authorization endpoint sends the browser, given the state that the broker sent. */
let mislead: (state: string) => string;

const honests = ['honest-own', 'honest-shared', 'honest-without-iss'] as const;
const evils: [string, string | undefined][] = [
  ['evil', undefined],
  ['evil', 'elsewhere'],
  ['evil-with-honest-issuer', undefined],
  ['evil-with-honest-issuer', 'elsewhere'],
  ['evil-generic', undefined],
  ['evil-generic', 'elsewhere'],
];

beforeAll(async () => {
  [scene, evil] = await Promise.all([startScene(), listen()]);
  const { authorizationServer: as, phonegap } = scene.providers;
  evil.handle(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', evil.url);
    if (pathname === '/authorize') return void response.writeHead(302, { location: mislead(searchParams.get('state') ?? '') }).end();
    let body = '';
    for await (const chunk of request) body += String(chunk);
    captured.push(body);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ access_token: 'evil', token_type: 'Bearer' }));
  });

  const definition = JSON.parse(as.definition);
  const { issuer: _, iss_parameter: __, ...plain } = definition.methods.web;
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'honest-own', provider: 'sandbox-as' });
  await scene.integrate(as, { id: 'honest-shared', provider: scene.ship(as.definition, 'shipped-as') });
  await scene.define(JSON.stringify({ ...definition, id: 'without-iss', methods: { web: plain } }));
  await scene.integrate(as, { id: 'honest-without-iss', provider: 'without-iss' });
  await scene.define(phonegap.definition);
  await scene.integrate(phonegap, { id: 'phonegap', provider: 'sandbox-phonegap' });

  const endpoints = { authorization_endpoint: `${evil.url}/authorize`, token_endpoint: `${evil.url}/token` };
  const evilDefinition = (id: string, more: object) =>
    JSON.stringify({ id, name: 'Evil', methods: { web: { grant: 'authorization_code', ...endpoints, ...more } } });
  const party = { definition: '', client: as.client, registerRedirectUri: () => {} };
  await scene.root.call('POST', '/v1/projects', { body: { id: 'elsewhere', name: 'Elsewhere' } });
  for (const project of [undefined, 'elsewhere']) {
    await scene.define(evilDefinition('evil', {}), project);
    await scene.define(evilDefinition('evil-with-honest-issuer', { issuer: as.issuer }), project);
    await scene.integrate(party, { id: 'evil', provider: 'evil' }, project);
    await scene.integrate(party, { id: 'evil-with-honest-issuer', provider: 'evil-with-honest-issuer' }, project);
    await scene.integrate(party, { id: 'evil-generic', provider: 'generic-oauth2', inputs: endpoints }, project);
  }
});
afterAll(async () => {
  await scene?.stop();
  await evil?.stop();
});
beforeEach(() => {
  captured = [];
});

/** The victim's browser goes through the evil link until it is back at the broker. */
async function victimConnectsEvil(integration: string, project: string | undefined) {
  const link = await scene.linkTo(integration, { end_user: { id: 'victim' } }, project);
  const browser = createBrowser();
  const begun = await scene.begin(link, browser);
  const back = await browser.open(begun, { stopBefore: `${scene.url}/oauth/callback` });
  return { link, browser, callback: new URL(back.location ?? 'about:blank') };
}

describe.each(honests)('the honest provider is %s', (honest) => {
  describe.each(evils)('the other is %s in project %s', (integration, project) => {
    test("COAT: the victim's code does not reach the evil token endpoint, nobody is taken over", async () => {
      // The attacker begins a flow of his own and keeps its authorize URL.
      const attacker = createBrowser();
      const own = await scene.linkTo(honest, { end_user: { id: 'attacker' } });
      const authorizeUrl = new URL(await scene.begin(own, attacker));
      mislead = (state) => {
        const copy = new URL(authorizeUrl);
        copy.searchParams.set('state', state);
        return copy.href;
      };
      // The victim has allowed the honest app before.
      scene.providers.authorizationServer.switches.autoApprove = { user: 'victim' };
      const { link, browser, callback } = await victimConnectsEvil(integration, project);
      const code = callback.searchParams.get('code') ?? '';
      expect(code).not.toBe('');
      const before = exchanges(scene);
      for (const target of honest === 'honest-without-iss' ? [withoutIss(callback), callback] : [callback]) {
        expect((await scene.visit(target, browser)).status).toBe(400);
      }
      await scene.expectFailed(link, 'redirect_mismatch', project);
      expect([captured, exchanges(scene)]).toEqual([[], before]);
      expect(await scene.connections()).not.toContainEqual(expect.objectContaining({ account: 'victim' }));
    });

    test("CORF: the attacker's code at the honest callback connects nothing to the victim", async () => {
      scene.providers.authorizationServer.switches.autoApprove = { user: 'attacker' };
      const attacker = await scene.untilCallback(honest, { end_user: { id: 'attacker' } });
      mislead = (state) => {
        const copy = new URL(attacker.callback);
        copy.searchParams.set('state', state);
        return copy.href;
      };
      const { link, browser, callback } = await victimConnectsEvil(integration, project);
      const before = exchanges(scene);
      expect((await scene.visit(callback, browser)).status).toBe(400);
      await scene.expectFailed(link, 'redirect_mismatch', project);
      expect([captured, exchanges(scene)]).toEqual([[], before]);
    });
  });
});

function withoutIss(callback: URL): URL {
  const copy = new URL(callback);
  copy.searchParams.delete('iss');
  return copy;
}

test('CORF without a state: a code for a provider that echoes none is not taken by the flow of another', async () => {
  const attacker = await scene.untilCallback('phonegap', { end_user: { id: 'attacker' } });
  mislead = () => attacker.callback.href;
  const { link, browser, callback } = await victimConnectsEvil('evil', undefined);
  const before = await scene.database();
  expect((await scene.visit(callback, browser)).status).toBe(400);
  expect(await scene.database()).toEqual(before);
  expect((await scene.stateOf(link)).status).toBe('authorizing');
});

test('the code that an evil provider gives away never goes to the honest token endpoint', async () => {
  // The evil callback itself, with a code of the honest server: the flow sends it to the evil endpoint, which is all it knows.
  scene.providers.authorizationServer.switches.autoApprove = { user: 'attacker' };
  const { redirect_uri } = await scene.root.call<{ redirect_uri: string }>('GET', '/v1/integrations/evil');
  mislead = (state) => `${redirect_uri}?code=made-up&state=${state}`;
  const before = exchanges(scene);
  const { link, browser, callback } = await victimConnectsEvil('evil', undefined);
  await scene.visit(callback, browser);
  expect(await scene.connectionOf(link)).toMatch(/^con_/);
  expect(captured).toHaveLength(1);
  expect(exchanges(scene)).toBe(before);
});

test('every definition that a project brings, and every open host, has a callback of its own; no two are alike', async () => {
  const uris = await Promise.all(
    [undefined, 'elsewhere'].flatMap((project) =>
      ['evil', 'evil-with-honest-issuer', 'evil-generic'].map(
        async (id) => (await scene.admin(project).call<{ redirect_uri: string }>('GET', `/v1/integrations/${id}`)).redirect_uri,
      ),
    ),
  );
  expect(new Set(uris).size).toBe(6);
  for (const uri of uris) expect(uri).toMatch(/\/oauth\/callback\/[\w-]{22}$/);
});
