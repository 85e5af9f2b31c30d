import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf, returnUrl } from './stage.ts';

/** State replay: an answer that was taken is there once more. */

export const stateReplay: Attack[] = [
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
];
