import { Credential } from '../protocol/credential.ts';
import type { DoorResponse } from '../protocol/door.ts';
import { isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { pointerValue } from '../protocol/pointer.ts';
import { extrasOf } from '../protocol/token-answer.ts';
import { apiCall, jsonOf } from './account.ts';
import type { World } from './world.ts';

/**
 * Makes the calls that a definition asks for right after a credential was obtained (`after`), in their order, and keeps what their answers
 * hold as extras. A credential is not given up for that: what a call that fails would have told is missing, and all else goes on.
 */
export async function learnMore({ log }: Pick<World, 'log'>, ctx: GrantContext, credential: Credential): Promise<Credential> {
  let known = credential;
  for (const [index, call] of ctx.method.after.entries()) {
    let answer: DoorResponse;
    try {
      const request = apiCall(ctx, known, call);
      if (request === undefined) continue;
      answer = await ctx.door(request);
    } catch (error) {
      if (!isGrantryError(error)) throw error;
      log.warn({ provider: ctx.definition.id, call: index, code: error.code }, 'a call after the exchange came to nothing');
      continue;
    }
    if (answer.status < 200 || answer.status >= 300) {
      log.warn({ provider: ctx.definition.id, call: index, status: answer.status }, 'a call after the exchange was refused');
      continue;
    }
    const document = jsonOf(answer.body);
    const fields = known.reveal();
    const learnt = extrasOf(Object.entries(call.keep).map(([name, pointer]) => [name, pointerValue(document, pointer)]));
    known = new Credential({ ...fields, extras: { ...fields.extras, ...learnt } });
  }
  return known;
}
