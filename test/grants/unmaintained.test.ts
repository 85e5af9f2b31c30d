import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { contextFor, json, scriptedDoor } from './context.ts';

/** passport-oauth2 loads packages that nobody keeps any more. Here all that they do is throw, and the code flow works: none of it is reached. */

const require = createRequire(import.meta.url);
const ofStrategy = createRequire(require.resolve('passport-oauth2'));

function disarm(): string[] {
  const reached: string[] = [];
  const refuse = (name: string) => () => {
    reached.push(name);
    throw new Error(`${name} was reached`);
  };
  const { OAuth2 } = ofStrategy('oauth') as { OAuth2: { prototype: Record<string, unknown> } };
  for (const name of Object.keys(OAuth2.prototype)) OAuth2.prototype[name] = refuse(`oauth ${name}`);
  expect(Object.keys(OAuth2.prototype)).toContain('_request');
  ofStrategy('uid2');
  const uid2 = ofStrategy.cache[ofStrategy.resolve('uid2')];
  if (uid2 !== undefined) uid2.exports = refuse('uid2');
  return reached;
}

test('a code flow reaches nothing of oauth and uid2', async () => {
  const reached = disarm();
  const { authorizationCode } = await import('../../src/grants/authorization-code.ts');
  const { door, sent } = scriptedDoor(json({ access_token: 'at-1', token_type: 'Bearer' }));
  const endpoints = { authorization_endpoint: 'https://as.acme.com/authorize', token_endpoint: 'https://as.acme.com/token' };
  const ctx = contextFor('authorization_code', endpoints, { door });
  const redirectUri = 'https://broker.acme.com/oauth/callback';
  const started = await authorizationCode.start(ctx, { redirectUri, state: 's'.repeat(43), scopes: ['read'], endpoint: 'authorization' });
  expect(started.kind).toBe('redirect');
  const pending = { redirectUri, scopes: ['read'], codeVerifier: 'v'.repeat(43) };
  const credential = await authorizationCode.finish?.(ctx, pending, { code: 'code-1', keep: {} });
  expect(credential?.reveal()).toMatchObject({ access_token: 'at-1' });
  expect(sent).toHaveLength(1);
  expect(reached).toEqual([]);
});
