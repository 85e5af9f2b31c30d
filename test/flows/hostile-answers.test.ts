import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { hostileAnswers } from '../../src/sandbox/hostile-answers.ts';
import { type Scene, startScene } from './scene.ts';

vi.setConfig({ testTimeout: 120_000 });

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  await scene.define(scene.providers.hostile.definition);
  await scene.integrate(scene.providers.hostile, { id: 'hostile', provider: 'sandbox-hostile' });
});
afterAll(() => scene?.stop());

test('every hostile answer ends the flow or connects with the token in it, after one token call; the process lives', async () => {
  // The four that keep us waiting until the deadline are tried one by one at the token endpoint.
  const slow = ['never ending', 'one byte per second', 'headers and no body', 'no answer at all'];
  const quick = Object.entries(hostileAnswers).filter(([name]) => !slow.includes(name));
  expect(quick.length).toBeGreaterThan(50);
  const connected: string[] = [];
  for (const [name, answer] of quick) {
    scene.providers.hostile.answerWith(answer);
    const { link, browser, callback } = await scene.untilCallback('hostile');
    const before = scene.providers.hostile.counters.token_requests;
    // Its codes repeat; each flow gets one of its own here.
    callback.searchParams.set('code', `code-${link.id}`);
    await scene.visit(callback, browser);
    const { status, error } = await scene.stateOf(link);
    expect({
      name,
      ended: ['connected', 'failed'].includes(status),
      code: error === null || ['exchange_failed', 'exchange_unknown'].includes(error.code),
    }).toEqual({ name, ended: true, code: true });
    expect(scene.providers.hostile.counters.token_requests - before, name).toBe(1);
    if (status === 'connected') connected.push(name);
  }
  // A lifetime of nonsense and an empty refresh token do not take away the access token.
  expect(connected).toEqual(['expires_in negative', 'expires_in zero', 'expires_in 1e20', 'refresh_token empty']);
  expect((await scene.visit(`${scene.url}/healthz`)).status).toBe(200);
});
