import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { oauth1 } from '../../src/grants/oauth1.ts';
import { definitionSchema, type OAuth1Method, oauth1Schema } from '../../src/protocol/definition/schema.ts';
import type { CallbackAnswer, GrantContext, Pending, Started, StartInput } from '../../src/protocol/grant.ts';
import { consumer, door, startProvider } from './oauth1-server.ts';

/** One provider for all test files that a process runs; it ends with the process. */
export const provider = await startProvider();

/** Before each test. */
export function renewProvider(): void {
  provider.seen.length = 0;
  Object.assign(provider.behave, { answer: undefined, clockMs: 0, confirmed: 'true', publicKey: undefined });
}

export type Context = GrantContext<OAuth1Method>;

export function context(method: Record<string, unknown> = {}, rest: Partial<Context> = {}): Context {
  const parsed = oauth1Schema.parse({
    grant: 'oauth1',
    request_token_endpoint: `${provider.origin}/request_token`,
    authorization_endpoint: `${provider.origin}/authorize`,
    access_token_endpoint: `${provider.origin}/access_token`,
    ...method,
  });
  return {
    definition: definitionSchema.parse({ id: 'sample', name: 'Sample', methods: { web: parsed } }),
    method: parsed,
    client: { client_id: consumer.key, client_secret: consumer.secret },
    inputs: {},
    allowPrivateHosts: true,
    door,
    now: () => new Date(),
    random: randomBytes,
    ...rest,
  };
}

const input: StartInput = { redirectUri: 'https://broker.example/oauth/callback', state: 's+/ä', scopes: [], endpoint: 'authorization' };

export async function begin(ctx: Context, given: Partial<StartInput> = {}): Promise<Exclude<Started, { kind: 'credential' }>> {
  const started = await oauth1.start(ctx, { ...input, ...given });
  if (started.kind === 'credential') throw new Error('no redirect');
  return started;
}

/** The end user says yes, and the browser comes back. */
export function approved(pending: Pending): CallbackAnswer {
  const oauthToken = pending.requestToken ?? '';
  return { code: '', oauthToken, oauthVerifier: provider.approve(oauthToken), keep: {} };
}

/** An error of ours with one of these codes. */
export const code = (...codes: string[]) =>
  expect.objectContaining({ name: 'GrantryError', code: codes.length === 1 ? codes[0] : expect.toSatisfy((value: string) => codes.includes(value)) });
