import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { changed, exchanges, type Scene, startScene } from './scene.ts';

/** What an answer says: who it is from, one code or an error, and that code never before. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const as = scene.providers.authorizationServer;
  const definition = JSON.parse(as.definition);
  const { web } = definition.methods;
  const { issuer: _, iss_parameter: __, ...plain } = web;
  const variant = (id: string, method: object) => scene.define(JSON.stringify({ ...definition, id, methods: { web: method } }));
  await scene.define(as.definition);
  await variant('default-iss', { ...plain, issuer: as.issuer });
  await variant('optional-iss', { ...plain, issuer: as.issuer, iss_parameter: 'optional' });
  await variant('no-issuer', plain);
  await variant('signed', { ...web, callback: { signature: { algorithm: 'hmac_sha256_hex', param: 'hmac' } } });
  await variant('denying', { ...web, callback: { denied: ['authorization_refused'] } });
  for (const id of ['sandbox-as', 'default-iss', 'optional-iss', 'no-issuer', 'signed', 'denying']) await scene.integrate(as, { id, provider: id });
});
afterAll(() => scene?.stop());

type Change = (parameters: URLSearchParams) => void;
const inTurn =
  (...changes: Change[]): Change =>
  (p) => {
    for (const change of changes) change(p);
  };
const say = (error: string): Change =>
  inTurn(
    (p) => p.delete('code'),
    (p) => p.set('error', error),
  );
const denied = say('access_denied');

/** The changed answer ends the flow with this code; no token call; the true answer then finds no flow. */
async function expectEnd(integration: string, change: (p: URLSearchParams) => void, code: string): Promise<void> {
  const { callback, browser, link } = await scene.untilCallback(integration);
  const before = exchanges(scene);
  const answer = await scene.visit(changed(callback, change), browser);
  expect([answer.status, answer.location]).toEqual([303, `${scene.url}/connect/result/${link.id}`]);
  await scene.expectFailed(link, code);
  expect((await scene.visit(callback, browser)).status).toBe(400);
  expect(exchanges(scene)).toBe(before);
}

async function expectConnected(integration: string, change: (p: URLSearchParams) => void): Promise<void> {
  const { callback, browser, link } = await scene.untilCallback(integration);
  await scene.visit(changed(callback, change), browser);
  await scene.connectionOf(link);
}

describe('iss (RFC 9207)', () => {
  const wrong: [string, string, (p: URLSearchParams) => void][] = [
    ['missing where it is required', 'sandbox-as', (p) => p.delete('iss')],
    ['missing where the definition has an issuer and says no more', 'default-iss', (p) => p.delete('iss')],
    ['of another server', 'sandbox-as', (p) => p.set('iss', 'https://evil.example')],
    ['with a slash more', 'sandbox-as', (p) => p.set('iss', `${p.get('iss')}/`)],
    ['in upper case', 'sandbox-as', (p) => p.set('iss', (p.get('iss') ?? '').toUpperCase())],
    ['empty', 'sandbox-as', (p) => p.set('iss', '')],
    ['twice', 'sandbox-as', (p) => p.append('iss', p.get('iss') ?? '')],
    ['of another server where it may be left out', 'optional-iss', (p) => p.set('iss', 'https://evil.example')],
    ['from a provider that has none', 'no-issuer', () => {}],
    ['missing on an error', 'sandbox-as', inTurn((p) => p.delete('iss'), denied)],
    ['of another server on an error', 'sandbox-as', inTurn((p) => p.set('iss', 'https://evil.example'), denied)],
  ];
  test.each(wrong)('%s: issuer_mismatch', (_, integration, change) => expectEnd(integration, change, 'issuer_mismatch'));

  test('left out where it may be', () => expectConnected('optional-iss', (p) => p.delete('iss')));
  test('left out by a provider that has none', () => expectConnected('no-issuer', (p) => p.delete('iss')));
});

describe('the code', () => {
  const wrong: [string, (p: URLSearchParams) => void][] = [
    ['missing', (p) => p.delete('code')],
    ['empty', (p) => p.set('code', '')],
    ['twice', (p) => p.append('code', 'other')],
    [
      'as an array',
      inTurn(
        (p) => p.set('code[]', p.get('code') ?? ''),
        (p) => p.delete('code'),
      ),
    ],
    ['with a line end', (p) => p.set('code', `${p.get('code')}\r\nx`)],
    ['with NUL', (p) => p.set('code', `${p.get('code')}\0`)],
    ['beyond ASCII', (p) => p.set('code', `${p.get('code')}\u00e9`)],
    ['of 8.3 kB', (p) => p.set('code', 'A'.repeat(8_300))],
    ['beside an error', (p) => p.set('error', 'access_denied')],
    ['beside denied', (p) => p.set('denied', '1')],
  ];
  test.each(wrong)('%s: invalid_callback', (_, change) => expectEnd('sandbox-as', change, 'invalid_callback'));

  test('of another flow of the same user: one exchange, refused by the server (PKCE), not sent again', async () => {
    const [first, second] = [await scene.untilCallback('sandbox-as'), await scene.untilCallback('sandbox-as')];
    const before = exchanges(scene);
    await scene.visit(
      changed(first.callback, (p) => p.set('code', second.callback.searchParams.get('code') ?? '')),
      first.browser,
    );
    await scene.expectFailed(first.link, 'exchange_failed');
    expect(exchanges(scene)).toBe(before + 1);
    // The code's own flow finds it in the ledger.
    await scene.visit(second.callback, second.browser);
    await scene.expectFailed(second.link, 'code_replayed');
    expect(exchanges(scene)).toBe(before + 1);
  });

  test('that has connected arrives in a second flow: that one stops, and the connection needs a new authorization', async () => {
    const [first, second] = [await scene.untilCallback('sandbox-as'), await scene.untilCallback('sandbox-as')];
    await scene.visit(first.callback, first.browser);
    const connection = await scene.connectionOf(first.link);
    const before = exchanges(scene);
    await scene.visit(
      changed(second.callback, (p) => p.set('code', first.callback.searchParams.get('code') ?? '')),
      second.browser,
    );
    await scene.expectFailed(second.link, 'code_replayed');
    expect(exchanges(scene)).toBe(before);
    expect(await scene.root.call('GET', `/v1/connections/${connection}`)).toMatchObject({
      status: 'reauthorization_required',
      reason: 'code_replayed',
    });
    const { data } = await scene.root.call<{ data: { type: string }[] }>('GET', `/v1/connections/${connection}/events`);
    expect(data[0]).toMatchObject({ type: 'connection.reauthorization_required', data: { reason: 'code_replayed' } });
  });

  test('in two flows at the same moment: neither connection stays usable', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [first, second] = [await scene.untilCallback('sandbox-as'), await scene.untilCallback('sandbox-as')];
      const stolen = changed(second.callback, (p) => p.set('code', first.callback.searchParams.get('code') ?? ''));
      await Promise.all([scene.visit(first.callback, first.browser), scene.visit(stolen, second.browser)]);
      for (const { link } of [first, second]) {
        const { status, connection_id } = await scene.stateOf(link);
        if (status === 'connected')
          expect(await scene.root.call('GET', `/v1/connections/${connection_id}`)).toMatchObject({ status: 'reauthorization_required' });
        else expect(status).toBe('failed');
      }
    }
  });

  test('is stored as a hash only', async () => {
    const { callback, browser } = await scene.untilCallback('sandbox-as');
    await scene.visit(callback, browser);
    const rows = await scene.sql<{ text: string }>('select t::text as text from code_ledger t');
    expect(rows.length).toBeGreaterThan(0);
    const code = callback.searchParams.get('code') ?? '';
    for (const { text } of rows) for (const shape of [code, Buffer.from(code).toString('hex')]) expect(text).not.toContain(shape);
  });
});

describe('an error', () => {
  const twice = inTurn(denied, (p) => p.append('error', 'access_denied'));
  const cases: [string, string, (p: URLSearchParams) => void, string][] = [
    ['access_denied', 'sandbox-as', say('access_denied'), 'access_denied'],
    ['user_denied', 'sandbox-as', say('user_denied'), 'access_denied'],
    ['consent_required', 'sandbox-as', say('consent_required'), 'access_denied'],
    ['authorization_refused where the definition says so', 'denying', say('authorization_refused'), 'access_denied'],
    ['authorization_refused elsewhere', 'sandbox-as', say('authorization_refused'), 'provider_error'],
    ['server_error', 'sandbox-as', say('server_error'), 'provider_error'],
    ['an unknown one', 'sandbox-as', say('"><script>alert(1)</script>'), 'provider_error'],
    ['an empty one', 'sandbox-as', say(''), 'provider_error'],
    ['two of them', 'sandbox-as', twice, 'provider_error'],
    ['__proto__', 'sandbox-as', say('__proto__'), 'provider_error'],
  ];
  test.each(cases)('%s consumes the flow', (_, integration, change, code) => expectEnd(integration, change, code));

  test('what the provider writes beside it is shown nowhere', async () => {
    const { callback, browser, link } = await scene.untilCallback('sandbox-as');
    const said = changed(
      callback,
      inTurn(
        say('<b>bold</b>'),
        (p) => p.set('error_description', '<script>alert(1)</script>marker-7'),
        (p) => p.set('error_uri', 'https://evil.example/'),
      ),
    );
    const page = await browser.open(said.href);
    expect(page.status).toBe(502);
    for (const text of ['marker-7', 'evil.example', 'bold']) expect(page.html).not.toContain(text);
    expect(JSON.stringify(await scene.stateOf(link))).not.toMatch(/marker-7|evil|bold/);
    expect(scene.logged.join('')).not.toContain('marker-7');
  });

  test('denied at the provider: its page says so, the integrator is told', async () => {
    const link = await scene.linkTo('sandbox-as', { return_url: 'http://localhost:1/done' });
    const browser = createBrowser();
    const callback = await scene.approve(await scene.begin(link, browser), browser, { button: 'Deny' });
    const { location } = await scene.visit(callback, browser);
    expect(location).toBe(`http://localhost:1/done?connect_link=${link.id}&status=failed&error=access_denied`);
    await scene.expectFailed(link, 'access_denied');
  });
});

describe('a signature of the provider', () => {
  const sign = (p: URLSearchParams, secret: string) => {
    const message = [...p]
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join('&');
    p.set('hmac', createHmac('sha256', secret).update(message).digest('hex'));
  };
  test('that holds', () => expectConnected('signed', (p) => sign(p, scene.providers.authorizationServer.client.client_secret)));
  test('made with the second of two secrets', async () => {
    const { client_secret } = scene.providers.authorizationServer.client;
    await scene.root.call('PATCH', '/v1/integrations/signed', { body: { client_secrets: [client_secret, 'second'] } });
    await expectConnected('signed', (p) => sign(p, 'second'));
    await scene.root.call('PATCH', '/v1/integrations/signed', { body: { client_secret } });
  });
  test('that is missing', () => expectEnd('signed', () => {}, 'invalid_callback'));
  test('of another key', () => expectEnd('signed', (p) => sign(p, 'other'), 'invalid_callback'));
  test('that is not hexadecimal', () => expectEnd('signed', (p) => p.set('hmac', 'zz'), 'invalid_callback'));
  test('that goes on behind its digits', () =>
    expectEnd(
      'signed',
      inTurn(
        (p) => sign(p, scene.providers.authorizationServer.client.client_secret),
        (p) => p.set('hmac', `${p.get('hmac')}\r\nX: y`),
      ),
      'invalid_callback',
    ));
  test('of other parameters', () =>
    expectEnd(
      'signed',
      inTurn(
        (p) => sign(p, scene.providers.authorizationServer.client.client_secret),
        (p) => p.set('shop', 'evil'),
      ),
      'invalid_callback',
    ));
});

test('a parameter without a name is not taken for the scopes that were granted', () => expectConnected('sandbox-as', (p) => p.append('', 'ad\rmin')));

describe('the integration between start and callback', () => {
  async function changedBetween(id: string, change: () => Promise<unknown>) {
    const { callback, browser, link } = await scene.untilCallback(id);
    await change();
    const before = exchanges(scene);
    const answer = await scene.visit(callback, browser);
    return { answer, link, calls: exchanges(scene) - before };
  }
  const add = (id: string) => scene.integrate(scene.providers.authorizationServer, { id, provider: 'sandbox-as' });

  test('got another client: the flow ends, nothing is sent', async () => {
    await add('moved');
    const { answer, link, calls } = await changedBetween('moved', () =>
      scene.root.call('PATCH', '/v1/integrations/moved', { body: { client_id: 'other', client_secret: 'other' } }),
    );
    expect([answer.status, calls]).toEqual([303, 0]);
    await scene.expectFailed(link, 'exchange_failed');
  });

  test('was deleted: its flows went with it', async () => {
    await add('gone');
    const { answer, link, calls } = await changedBetween('gone', () => scene.root.call('DELETE', '/v1/integrations/gone'));
    expect([answer.status, calls]).toEqual([400, 0]);
    expect(await scene.stateOf(link)).toMatchObject({ status: 'expired', connection_id: null });
  });

  const redefine = async (id: string, change: (definition: string) => string) => {
    const as = scene.providers.authorizationServer;
    const definition = (text: string) => JSON.stringify({ ...JSON.parse(text), id });
    await scene.define(definition(as.definition));
    await scene.integrate(as, { id, provider: id });
    return changedBetween(id, () => scene.define(definition(change(as.definition))));
  };

  test('had its provider redefined: the flow keeps the endpoints that it began with', async () => {
    const { link, calls } = await redefine('redefined', (text) => text.replaceAll('/token"', '/elsewhere"'));
    expect(calls).toBe(1);
    await scene.connectionOf(link);
  });

  test('had its provider moved to other servers: the flow ends, and neither is sent anything', async () => {
    const { link, calls } = await redefine('relocated', () => scene.providers.hostile.definition);
    expect([calls, scene.providers.hostile.counters.token_requests]).toEqual([0, 0]);
    await scene.expectFailed(link, 'exchange_failed');
  });

  test('had its provider refused by a rule that came later: the flow ends, and its server is sent nothing', async () => {
    const as = scene.providers.authorizationServer;
    await scene.define(JSON.stringify({ ...JSON.parse(as.definition), id: 'refused' }));
    await scene.integrate(as, { id: 'refused', provider: 'refused' });
    const { link, calls, answer } = await changedBetween('refused', () =>
      scene.sql(`update provider_versions set version = 2, definition = '{"id": "refused"}' where provider_id = 'refused'`),
    );
    expect([answer.status, calls]).toEqual([303, 0]);
    await scene.expectFailed(link, 'exchange_failed');
  });

  test('had what its definition says of a host changed: the same', async () => {
    const as = scene.providers.authorizationServer;
    const { port } = new URL(as.url);
    const regional = (host: string) => {
      const definition = JSON.parse(as.definition.replaceAll(as.url, `http://{host}:${port}`));
      const inputs = { region: { label: 'Region', choices: { here: { sets: { host } } }, default: 'here', asked_of: 'integration' } };
      return scene.define(JSON.stringify({ ...definition, id: 'regional', inputs }));
    };
    await regional('127.0.0.1');
    await scene.integrate(as, { id: 'regional', provider: 'regional' });
    const { link, calls } = await changedBetween('regional', () => regional('127.0.0.2'));
    expect(calls).toBe(0);
    await scene.expectFailed(link, 'exchange_failed');
  });

  test.each(['issuer', 'token_endpoint', 'revocation_endpoint'])('had its %s alone moved to another server: the same', async (name) => {
    const { link, calls } = await redefine(`moved-${name.replaceAll('_', '-')}`, (text) => {
      const definition = JSON.parse(text);
      const web = { ...definition.methods.web, [name]: `http://127.0.0.1:9/${name}` };
      return JSON.stringify({ ...definition, methods: { ...definition.methods, web } });
    });
    expect(calls).toBe(0);
    await scene.expectFailed(link, 'exchange_failed');
  });
});
