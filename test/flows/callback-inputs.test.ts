import { afterAll, beforeAll, expect, test } from 'vitest';
import { changed, exchanges, type LinkFields, type Scene, startScene } from './scene.ts';

/** The callback says at which of the listed hosts the code is redeemed; a denial that is no error. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const as = scene.providers.authorizationServer;
  const definition = JSON.parse(as.definition);
  const { web } = definition.methods;
  const { port, pathname } = new URL(web.token_endpoint);
  const method = {
    ...web,
    inputs: { shard: { label: 'Shard', enum: ['127.0.0.1', 'localhost', 'elsewhere.acme.com'] } },
    token_endpoint: `http://{shard}:${port}${pathname}`,
    callback: { ...web.callback, inputs: { shard: { param: 'referer', behind: '.shard' } }, denied_by: { invalid: 'true', reason: 'deny' } },
  };
  await scene.define(JSON.stringify({ ...definition, id: 'sharded', methods: { web: method } }));
  await scene.integrate(as, { id: 'sharded', provider: 'sharded' });
});
afterAll(() => scene?.stop());

async function arrive(change: (parameters: URLSearchParams) => void, fields: LinkFields = {}) {
  const { link, browser, callback } = await scene.untilCallback('sharded', fields);
  const before = exchanges(scene);
  await scene.visit(changed(callback, change), browser);
  return { link, calls: exchanges(scene) - before };
}

test('the end user is not asked; code and refresh token go to the host that the callback names', async () => {
  const { link, calls } = await arrive((parameters) => parameters.set('referer', '127.0.0.1.shard'));
  expect(calls).toBe(1);
  const connection = await scene.connectionOf(link);
  const { access_token } = await scene.root.getToken(connection);
  expect((await scene.root.getToken(connection, { force: true })).access_token).not.toBe(access_token);
});

test('what was given with the link stands: a callback of another host is refused, and nothing is sent', async () => {
  const given = { inputs: { shard: '127.0.0.1' } };
  const { link, calls } = await arrive((parameters) => parameters.set('referer', 'localhost.shard'), given);
  expect(calls).toBe(0);
  await scene.expectFailed(link, 'invalid_callback');
  const same = await arrive((parameters) => parameters.set('referer', '127.0.0.1.shard'), given);
  await scene.connectionOf(same.link);
});

test.each(['evil.acme.com.shard', '127.0.0.1', '127.0.0.1.shard.acme.com', ''])('a callback that names %s is refused', async (referer) => {
  const { link, calls } = await arrive((parameters) => parameters.set('referer', referer));
  expect(calls).toBe(0);
  await scene.expectFailed(link, 'invalid_callback');
});

test('the host stays the one of the callback when the integrator has to confirm first', async () => {
  const return_url = 'http://localhost:1/done';
  const { link, browser, callback } = await scene.untilCallback('sharded', { verification: 'user', return_url });
  const { location } = await scene.visit(
    changed(callback, (parameters) => parameters.set('referer', '127.0.0.1.shard')),
    browser,
  );
  const nonce = new URL(location).searchParams.get('nonce') ?? '';
  await scene.root.call('POST', `/v1/connect-links/${link.id}/confirm`, { body: { nonce, end_user_id: 'u1' } });
  await scene.root.getToken(await scene.connectionOf(link), { force: true });
});

test('a denial by parameters of its own', async () => {
  const deny = (reason: string) => (parameters: URLSearchParams) => {
    parameters.delete('code');
    parameters.set('invalid', 'true');
    parameters.set('reason', reason);
  };
  await scene.expectFailed((await arrive(deny('deny'))).link, 'access_denied');
  await scene.expectFailed((await arrive(deny('other'))).link, 'invalid_callback');
});
