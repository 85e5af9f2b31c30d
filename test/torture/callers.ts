import type { GrantryClient } from '../../src/client/client.ts';
import type { Connected, Stage } from './stage.ts';
import { ownerOf } from './verdict.ts';

/** Workers of a customer that go on asking for tokens, whatever happens to the broker. */
export type Callers = {
  /** Resolves when all have been answered, or cut off; what they got that was wrong. `lost`: connections that are known to have been lost since. */
  wrong(lost: ReadonlySet<string>): Promise<string[]>;
};

export function callersOf(stage: Stage, clients: readonly GrantryClient[], connections: readonly Connected[]): Callers {
  const asked = connections.map(async ({ id, user }, n) => {
    // An error is an honest answer, and so is a connection that breaks.
    const token = await clients[n % clients.length]?.getToken(id).catch(() => undefined);
    const accessToken = token?.access_token;
    return accessToken === undefined ? undefined : { id, user, owner: await ownerOf(stage, accessToken) };
  });
  return {
    async wrong(lost) {
      const answers = await Promise.all(asked);
      return answers.flatMap((answer) => {
        if (answer === undefined || answer.owner === answer.user) return [];
        // The grant died while the answer was on its way.
        if (answer.owner === undefined && lost.has(answer.id)) return [];
        return [`${answer.id} was handed a token of ${answer.owner ?? 'nobody'}`];
      });
    },
  };
}
