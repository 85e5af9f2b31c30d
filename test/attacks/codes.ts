import { exchanges } from '../flows/scene.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf } from './stage.ts';

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
