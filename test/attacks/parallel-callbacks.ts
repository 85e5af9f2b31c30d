import { exchanges } from '../flows/scene.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf } from './stage.ts';

/** Parallel callbacks: an answer many times at once. */

export const parallelCallbacks: Attack[] = [
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
];
