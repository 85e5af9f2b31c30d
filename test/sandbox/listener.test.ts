import { expect, it } from 'vitest';
import { listen } from '../../src/sandbox/listener.ts';

it('runs nothing later once it has stopped', async () => {
  const listener = await listen();
  const ran: string[] = [];
  listener.handle((_, response, later) => {
    later(1, () => ran.push('before'));
    later(150, () => ran.push('after'));
    response.end();
  });
  await fetch(listener.url);
  await expect.poll(() => ran).toEqual(['before']);
  await listener.stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(ran).toEqual(['before']);
});

it('answers 500 when a handler fails, and goes on', async () => {
  const listener = await listen();
  let calls = 0;
  listener.handle((_, response) => {
    calls += 1;
    if (calls === 1) throw new Error('once');
    response.end('well');
  });
  expect((await fetch(listener.url)).status).toBe(500);
  expect(await (await fetch(listener.url)).text()).toBe('well');
  await listener.stop();
});
