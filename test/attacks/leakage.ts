import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf } from './stage.ts';

/** Leakage: whoever reads the log looks for what opens something. What is left elsewhere is in test/broker/leakage.test.ts and test/flows/tests-leak.test.ts. */

export const leakage: Attack[] = [
  {
    name: 'leakage: the code, the state and the token of the link in the log',
    falls: [['log without addresses']],
    async run(stage) {
      const from = stage.logged.length;
      const { callback, browser, link } = await flowOf(stage, 'own', stage.fresh('victim'));
      await stage.visit(callback, browser);
      const written = stage.logged.slice(from).join('\n');
      if (written === '') throw new Error('Nothing was logged.');
      const secrets = {
        code: callback.searchParams.get('code'),
        state: callback.searchParams.get('state'),
        link: new URL(link.url).pathname.split('/').at(-1),
      };
      const found = Object.entries(secrets).filter(([, secret]) => written.includes(secret ?? ' '));
      return found.length > 0 ? succeeded(`in the log: ${found.map(([name]) => name).join(', ')}`) : stopped('none of them is in the log');
    },
  },
];
