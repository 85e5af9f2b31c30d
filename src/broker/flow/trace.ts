import type { CredentialFields } from '../../protocol/credential.ts';
import { apiOf } from '../../protocol/definition/api.ts';
import type { Door } from '../../protocol/door.ts';
import { isGrantryError } from '../../protocol/errors.ts';
import type { GrantContext, Pending } from '../../protocol/grant.ts';
import { presentationOf } from '../../protocol/present.ts';
import { adviceFor } from '../../protocol/trace/advice.ts';
import type { Masks } from '../../protocol/trace/masks.ts';
import { masksOf } from '../../protocol/trace/public.ts';
import { learnTokens, type ShownAnswer, showAnswer } from '../../protocol/trace/shown-answer.ts';
import { showRequest } from '../../protocol/trace/shown-request.ts';
import { openSecrets } from '../client-secrets.ts';
import type { IntegrationRecord, LinkRecord, TestStep } from '../records.ts';
import type { World } from '../world.ts';

/** The eyes of a test: what is sent and what comes back in its flow, written down with every secret masked. Other flows have none. */
export type Trace = {
  masks: Masks;
  /** Names what is about to be asked. */
  begin(step: TestStep['step']): void;
  note(step: TestStep): Promise<void>;
  /** Notes why what was begun has failed, and what to look at. */
  noteFailure(error: unknown): Promise<void>;
};

/** Writes a step of a test; of another link nothing. */
export async function noteStep(world: World, link: LinkRecord, step: TestStep): Promise<void> {
  if (link.purpose === 'test') await world.store.tests.add(link.id, step);
}

const asked: Partial<Record<TestStep['step'], string>> = {
  request_token: 'A request token was asked for.',
  token: 'A token was asked for.',
  probe: 'The probe of the definition was called.',
  refresh: 'A new token was asked for, as a refresh does.',
  revocation: 'The provider was told that the token is not used any more.',
};

/** Watches what the context of a test sends: the context that is returned has a door that writes down. */
export async function traced(
  world: World,
  link: LinkRecord,
  { ctx, integration }: { ctx: GrantContext; integration: IntegrationRecord },
): Promise<{ ctx: GrantContext; trace: Trace }> {
  const masks = masksOf(ctx, { redirectUri: link.redirect_uri, scopes: link.scopes });
  for (const secret of await openSecrets(world, integration)) masks.learn('client_secret', secret);
  let step: TestStep['step'] = 'token';
  let last: ShownAnswer | undefined;
  const note = (made: TestStep) => noteStep(world, link, made);
  const door: Door = async (request) => {
    last = undefined;
    // Of the second token that is given back nobody waits for an answer (RFC 7009 section 2.1).
    const matters = step !== 'revocation' || request.answerBody !== 'ignored';
    const shown = { step, what: asked[step] ?? 'The provider was asked.', request: showRequest(masks, request) };
    try {
      const answer = await ctx.door(request);
      learnTokens(masks, ctx.method, answer);
      last = showAnswer(masks, ctx.method, answer);
      await note({ ...shown, outcome: answer.status < 400 || !matters ? 'ok' : 'failed', answer: last });
      return answer;
    } catch (error) {
      if (isGrantryError(error)) await note({ ...shown, outcome: matters ? 'failed' : 'ok', look: adviceFor(error, ctx.method, undefined) });
      throw error;
    }
  };
  const trace: Trace = {
    masks,
    begin(next) {
      step = next;
      last = undefined;
    },
    note,
    async noteFailure(error) {
      if (!isGrantryError(error)) return;
      const answered = step === 'token' || step === 'request_token' ? 'understood' : step;
      await note({ step: answered, outcome: 'failed', what: error.message, look: adviceFor(error, ctx.method, last) });
    },
  };
  return { ctx: { ...ctx, door }, trace };
}

/** What a flow remembers is secret. */
export function learnPending(masks: Masks, { codeVerifier, requestToken, requestTokenSecret }: Pending): void {
  masks.learn('code_verifier', codeVerifier);
  masks.learn('request token', requestToken);
  masks.learn('request token secret', requestTokenSecret);
}

export function learnCredential(masks: Masks, { definition, method }: GrantContext, fields: CredentialFields): void {
  const { kind, access_token, refresh_token, secret } = fields;
  if (kind !== 'basic') masks.learn('access_token', access_token);
  masks.learn('refresh_token', refresh_token);
  masks.learn(kind === 'basic' ? 'password' : 'token secret', secret);
  // In a path it is one word with what stands before it.
  const presentation = presentationOf(apiOf(definition, method), fields);
  if (presentation?.in === 'path') masks.learn('access_token', presentation.value.slice(1));
}
