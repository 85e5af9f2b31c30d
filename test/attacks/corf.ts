import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf } from './stage.ts';

/** Cross-app request forgery: the attacker's code arrives, without a state, in the browser of a victim whose flow is under way. */

export const corf: Attack[] = [
  {
    name: "CORF, a provider without a state: the attacker's account is connected to the victim",
    falls: [['account question']],
    async run(stage) {
      const [attacker, victim] = [stage.fresh('attacker'), stage.fresh('victim')];
      const attackers = createBrowser();
      const begun = await stage.begin(await stage.linkTo('phonegap', { end_user: { id: attacker } }), attackers);
      const callback = await stage.approve(begun, attackers, { user: attacker });
      const victims = createBrowser();
      await stage.begin(await stage.linkTo('phonegap', { end_user: { id: victim } }), victims);
      const { status, location } = await stage.visit(callback, victims);
      if (await stage.holds(victim, attacker)) return succeeded("the attacker's account is connected to the victim");
      return stopped(`the callback: ${status}${location.includes('/connect/result/') ? ', the victim is asked whose account it is' : ''}`);
    },
  },
  {
    name: "CORF, no state for a flow that was sent with one: the attacker's account is connected to the victim",
    falls: [['state promised', 'PKCE']],
    async run(stage) {
      const [attacker, victim] = [stage.fresh('attacker'), stage.fresh('victim')];
      const { callback } = await flowOf(stage, 'own', attacker);
      callback.searchParams.delete('state');
      const { browser } = await flowOf(stage, 'own', victim);
      const { status } = await stage.visit(callback, browser);
      if (await stage.holds(victim, attacker)) return succeeded("the attacker's account is connected to the victim");
      return stopped(`the callback: ${status}`);
    },
  },
];
