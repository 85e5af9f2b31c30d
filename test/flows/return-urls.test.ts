import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isLoopbackUrl, mayReturnTo, returnUrlFault, withOutcome } from '../../src/broker/return-urls.ts';
import { problemOf } from '../harness/broker.ts';
import { type Scene, startScene } from './scene.ts';

const registered = ['https://ok.example/cb', 'https://ok.example:8443/cb?tenant=1', 'https://xn--bcher-kva.example/cb'];
const never = [
  '//ok.example/cb',
  'https:ok.example/cb',
  'https:/ok.example/cb',
  'https:///ok.example/cb',
  'https://ok.example@evil.example/cb',
  'https://user:pw@ok.example/cb',
  'https://ok.example.evil.example/cb',
  'https://evil-ok.example/cb',
  'https://ok.example\\@evil.example/cb',
  'https://ok.example\\cb',
  '/\\evil.example',
  '/cb',
  '',
  'javascript:alert(1)',
  'javascript://ok.example/cb%0aalert(1)',
  'data:text/html,x',
  'ftp://ok.example/cb',
  'HTTPS://ok.example/cb',
  'https://OK.example/cb',
  'https://ok.example/CB',
  'https://ok.example/cb\r\nX: y',
  'https://ok.example/cb%0d%0aX:%20y',
  'ht\ttps://ok.example/cb',
  'https://ok\n.example/cb',
  ' https://ok.example/cb',
  'https://ok.example/cb ',
  'https://оk.example/cb',
  'https://bücher.example/cb',
  'https://ok。example/cb',
  'https://ok.example./cb',
  'https://ok.example:443/cb',
  'https://ok.example:8443/cb',
  'https://ok.example:444/cb',
  'http://ok.example/cb',
  'https://ok.example/cb/../cb',
  'https://ok.example/./cb',
  'https://ok.example/x/%2e%2e/cb',
  'https://ok.example//cb',
  'https://ok.example/cb/',
  'https://ok.example/cb?',
  'https://ok.example/cb?a=1',
  'https://ok.example/cb#',
  'https://ok.example/cb#x',
  'https://ok.example/cb;x',
  'https://ok.example',
  'https://ok.example:8443/cb?tenant=1&tenant=2',
  'https://ok.example:8443/cb?tenant=2',
  `https://ok.example/${'a'.repeat(1_900)}`,
];
const loopback = ['http://localhost:5000/cb', 'http://127.0.0.1/cb', 'http://[::1]:5000/cb', 'https://localhost/cb'];
const nearlyLoopback = [
  'http://localhost.evil.example/cb',
  'http://127.0.0.1.evil.example/cb',
  'http://127.1/cb',
  'http://2130706433/cb',
  'http://0.0.0.0/cb',
  'http://[::ffff:7f00:1]/cb',
  'http://localhost@evil.example/',
  'http://LOCALHOST/cb',
  'http://localhost./cb',
];

describe('at the making of a link', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
    await scene.define(scene.providers.authorizationServer.definition);
    await scene.integrate(scene.providers.authorizationServer, { id: 'as', provider: 'sandbox-as' });
    await scene.root.call('PATCH', '/v1/projects/default', { body: { return_urls: registered } });
  });
  afterAll(() => scene?.stop());

  test.each([...never, ...nearlyLoopback])('%j is refused', async (return_url) => {
    const before = await scene.database();
    const problem = await problemOf(scene.linkTo('as', { return_url }));
    expect([problem.status, problem.problem.errors]).toEqual([400, [{ pointer: '/return_url', detail: expect.any(String) }]]);
    expect(await scene.database()).toEqual(before);
  });

  test.each([...registered, ...loopback])('%s is accepted', async (return_url) => {
    expect((await scene.linkTo('as', { return_url })).id).toMatch(/^lnk_/);
  });

  test('what another project registered does not count', async () => {
    await scene.root.call('POST', '/v1/projects', { body: { id: 'other', name: 'Other', return_urls: ['https://other.example/'] } });
    expect((await problemOf(scene.linkTo('as', { return_url: 'https://other.example/' }))).status).toBe(400);
  });

  test.each([
    'javascript:alert(1)',
    'https://a@b.example/',
    'https://a.example/#x',
    'http://a.example/',
    'https://A.example/',
    'https://*.example/',
    '/x',
  ])('%s cannot be registered', async (url) => {
    const problem = await problemOf(scene.root.call('PATCH', '/v1/projects/default', { body: { return_urls: ['https://fine.example/', url] } }));
    expect(problem.status).toBe(400);
    expect(JSON.stringify(problem.problem.errors)).toContain('/return_urls');
  });

  test('a return URL in the callback changes nothing', async () => {
    const { callback, browser, link } = await scene.untilCallback('as', { return_url: 'https://ok.example/cb' });
    for (const name of ['return_url', 'redirect_uri', 'next', 'url']) callback.searchParams.set(name, 'https://evil.example/');
    const { location } = await scene.visit(callback, browser);
    expect(location).toBe(`https://ok.example/cb?connect_link=${link.id}&status=connected&connection_id=${await scene.connectionOf(link)}`);
  });
});

describe('the rule', () => {
  const open = { publicUrl: 'https://connect.example', registered };

  test.each([...loopback, ...nearlyLoopback, ...never])('%j: nothing unregistered counts on a public broker', (url) => {
    expect(mayReturnTo({ ...open, url })).toBe(false);
  });
  test('a loopback URL over https that was registered is as good as any', () => {
    expect(mayReturnTo({ ...open, registered: ['https://localhost/cb'], url: 'https://localhost/cb' })).toBe(true);
  });
  test('plain http is not to be registered on a public broker', () => {
    expect(returnUrlFault(open.publicUrl, 'http://localhost/cb')).toBeDefined();
    expect(returnUrlFault('http://localhost:3000', 'http://localhost/cb')).toBeUndefined();
    expect(returnUrlFault('http://localhost:3000', 'http://ok.example/cb')).toBeDefined();
  });
  test.each(nearlyLoopback)('%s is no loopback URL', (url) => expect(isLoopbackUrl(url)).toBe(false));

  test('of whatever is made of the pieces of URLs, only what is registered letter by letter passes', () => {
    const piece = fc.constantFrom(
      'https',
      'http',
      ':',
      '/',
      '//',
      '\\',
      '@',
      '.',
      'ok.example',
      'evil.example',
      'cb',
      '?',
      '#',
      '%2f',
      '%00',
      '\t',
      '\n',
      '\u3002',
      'localhost',
      '127.0.0.1',
      ':443',
      'xn--',
      ' ',
    );
    const mutant = fc
      .tuple(fc.constantFrom(...registered), fc.nat(40), fc.nat(3), piece)
      .map(([url, at, drop, text]) => url.slice(0, at) + text + url.slice(at + drop));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
          mutant,
          fc.webUrl(),
        ),
        (url) => {
          expect(mayReturnTo({ ...open, url })).toBe(registered.includes(url));
        },
      ),
      { numRuns: 100_000 },
    );
  });

  test('what became of the flow is added to the query that is there', () => {
    expect(withOutcome('https://a.example/x', { status: 'a b&c' })).toBe('https://a.example/x?status=a+b%26c');
    expect(withOutcome('https://a.example/x?y=1', { status: 'd' })).toBe('https://a.example/x?y=1&status=d');
  });
});
