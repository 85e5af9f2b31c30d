import { exchanges } from '../flows/scene.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf, returnUrl } from './stage.ts';

/** Codes and states that are used by others, again, or all at once. */

export const codes: Attack[] = [
  {
    name: "code injection: a stolen code of the victim in the attacker's own flow",
    falls: [['PKCE']],
    async run(stage) {
      const [attacker, victim] = [stage.fresh('attacker'), stage.fresh('victim')];
      const stolen = await flowOf(stage, 'own', victim);
      const own = await flowOf(stage, 'own', attacker);
      own.callback.searchParams.set('code', stolen.callback.searchParams.get('code') ?? '');
      const { status, location } = await stage.visit(own.callback, own.browser);
      if (await stage.holds(attacker, victim)) return succeeded("the victim's account is connected to the attacker");
      return stopped(`the callback: ${status} to ${location.slice(0, 60)}, the link: ${(await stage.stateOf(own.link)).error?.code}`);
    },
  },
  {
    name: 'parallel callbacks: the same answer two hundred times at once',
    falls: [['state taken once', 'code ledger']],
    async run(stage) {
      const { callback, browser } = await flowOf(stage, 'own', stage.fresh('victim'));
      const before = exchanges(stage);
      const answers = await Promise.all(Array.from({ length: 200 }, () => stage.visit(callback, browser)));
      const calls = exchanges(stage) - before;
      const went = answers.filter(({ status }) => status === 303).length;
      return calls > 1 ? succeeded(`${calls} exchanges`) : stopped(`${calls} exchange, ${went} of ${answers.length} callbacks went on`);
    },
  },
  {
    name: 'state replay: the same answer once more, while the end user is still to be confirmed',
    falls: [['state taken once', 'code ledger']],
    async run(stage) {
      const { callback, browser } = await flowOf(stage, 'verified', stage.fresh('victim'), { return_url: returnUrl });
      const first = await stage.visit(callback, browser);
      if (!first.location.startsWith(returnUrl)) throw new Error(`The first answer was not taken: ${first.status}`);
      const again = await stage.visit(callback, browser);
      return again.location.startsWith(`${returnUrl}?`) && again.location.includes('nonce=')
        ? succeeded('it was taken again, and another nonce was given')
        : stopped(`the callback: ${again.status}`);
    },
  },
  {
    name: "code replay: the victim's code once more, in the attacker's flow",
    falls: [['code ledger']],
    async run(stage) {
      const victim = await flowOf(stage, 'own', stage.fresh('victim'));
      await stage.visit(victim.callback, victim.browser);
      const own = await flowOf(stage, 'own', stage.fresh('attacker'));
      own.callback.searchParams.set('code', victim.callback.searchParams.get('code') ?? '');
      const before = exchanges(stage);
      const { status } = await stage.visit(own.callback, own.browser);
      return exchanges(stage) > before ? succeeded('the provider was shown it twice') : stopped(`the callback: ${status}`);
    },
  },
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
