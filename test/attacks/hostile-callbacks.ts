import { exchanges } from '../flows/scene.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf } from './stage.ts';

/** Hostile callbacks: what no provider sends, and what others send for it. */

export const hostileCallbacks: Attack[] = [
  {
    name: 'hostile callback: a HEAD by whoever looks at links, before the browser',
    falls: [['HEAD is no visit']],
    async run(stage) {
      const { callback, browser, link } = await flowOf(stage, 'own', stage.fresh('victim'));
      await stage.visit(callback, undefined, { method: 'HEAD' });
      await stage.visit(callback, browser);
      const { status } = await stage.stateOf(link);
      return status === 'connected' ? stopped('the browser came after it and is connected') : succeeded(`the link: ${status}`);
    },
  },
  {
    name: 'hostile callback: errors, made-up states and forms from elsewhere that would end the flow of somebody else',
    falls: [['state promised']],
    async run(stage) {
      const { callback, browser, link } = await flowOf(stage, 'own', stage.fresh('victim'));
      const { origin, pathname } = callback;
      for (const query of ['error=access_denied', 'denied=x', `error=access_denied&state=${'A'.repeat(43)}`, 'state[]=x', 'state=', '']) {
        await stage.visit(`${origin}${pathname}?${query}`, browser);
        await stage.visit(`${origin}${pathname}`, browser, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: query,
        });
      }
      await stage.visit(callback, browser);
      const { status, error } = await stage.stateOf(link);
      return status === 'connected' ? stopped('the flow went on') : succeeded(`the link: ${status}, ${error?.code}`);
    },
  },
  {
    name: 'hostile callback: two states in one answer',
    falls: [['one value']],
    async run(stage) {
      const { callback, browser } = await flowOf(stage, 'own', stage.fresh('victim'));
      callback.searchParams.append('state', 'another');
      const before = exchanges(stage);
      const { status } = await stage.visit(callback, browser);
      return exchanges(stage) > before ? succeeded('one of the states was taken') : stopped(`the callback: ${status}`);
    },
  },
  {
    name: 'hostile callback: two codes in one answer',
    falls: [['one value']],
    async run(stage) {
      const { callback, browser } = await flowOf(stage, 'own', stage.fresh('victim'));
      callback.searchParams.append('code', 'another');
      const before = exchanges(stage);
      const { status } = await stage.visit(callback, browser);
      return exchanges(stage) > before ? succeeded('one of the codes was sent to the provider') : stopped(`the callback: ${status}`);
    },
  },
];
