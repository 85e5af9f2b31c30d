import { exchanges } from '../flows/scene.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf } from './stage.ts';

/** Code injection and replay: the code of one flow in another. */

export const codeInjection: Attack[] = [
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
];
