import { expect, it } from 'vitest';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import { warningCodes, warningsOf } from '../../../src/protocol/definition/warnings.ts';
import { put, sample, type Tree } from './samples.ts';

const definitionOf = (tree: Tree) => parseDefinitionValue(tree, { allowPrivateHosts: false });
const told = (tree: Tree) => warningsOf(definitionOf(tree)).map(({ pointer, code }) => `${pointer} ${code}`);
const quiet = () => put(put(put(sample(), '/documentation', 'https://acme.com/docs'), '/inputs/site', undefined), '/inputs/server', undefined);

/** The method of the sample, with a signed assertion. */
function signing(more: Tree): Tree {
  const web = (quiet()['methods'] as Tree)['web'] as Tree;
  return { ...web, ...more, token_endpoint_auth_method: 'private_key_jwt', callback: { ...(web['callback'] as Tree), keep: [] } };
}

const cases: [path: string, value: unknown, expected: string][] = [
  ['/methods/web/code_challenge_method', 'none', '/methods/web/code_challenge_method no_pkce'],
  ['/methods/web/code_challenge_method', 'plain', '/methods/web/code_challenge_method pkce_plain'],
  ['/methods/web/callback/state', 'not_echoed', '/methods/web/callback/state state_not_echoed'],
  ['/methods/web/callback/keep', ['realm'], '/methods/web/callback/keep callback_unsigned'],
  ['/methods/web/token/format', 'query', '/methods/web/token secret_in_url'],
  ['/methods/web/refresh/format', 'query', '/methods/web/refresh secret_in_url'],
  ['/methods/web/revocation/format', 'query', '/methods/web/revocation secret_in_url'],
  ['/api/token', { in: 'query', name: 'access_token' }, '/api/token/in token_in_url'],
  ['/api/token', { in: 'path', prefix: 'bot' }, '/api/token/in token_in_url'],
  ['/methods/web/api', { token: { in: 'query', name: 'access_token' } }, '/methods/web/api/token/in token_in_url'],
  ['/methods/web/api', { token: { in: 'path' } }, '/methods/web/api/token/in token_in_url'],
  ['/methods/signed/signature_method', 'PLAINTEXT', '/methods/signed/signature_method weak_signature'],
  ['/methods/signed/callback/verifier', 'absent', '/methods/signed/callback/verifier no_verifier'],
  ['/methods/web/revocation_endpoint', undefined, '/methods/web no_revocation'],
  ['/methods/web/scopes/separator', ';', '/methods/web/scopes/separator scope_separator_unusual'],
  ['/inputs/server', { label: 'Server', url: true }, '/inputs/server open_host'],
  ['/methods/web/inputs', { site: { label: 'Site', host: true } }, '/methods/web/inputs/site open_host'],
  ['/api/account', undefined, '/api no_account'],
  ['/documentation', undefined, ' no_documentation'],
  [
    '/methods/web',
    signing({ client_assertion: { audience: 'https://elsewhere.example.com' } }),
    '/methods/web/client_assertion/audience audience_elsewhere',
  ],
];

it('a plain definition has none but what it cannot help', () => {
  const tree = put(quiet(), '/methods/web/callback/keep', []);
  expect(told(tree)).toEqual([]);
});

it.each(cases)('of %s %j it warns', (path, value, expected) => {
  const tree = put(put(quiet(), '/methods/web/callback/keep', []), path, value);
  if (path === '/methods/web/revocation_endpoint') put(tree, '/methods/web/revocation', {});
  expect(told(tree)).toEqual([expected]);
});

it('warns of a missing probe, and of a base that has ended its service', () => {
  const tree = put(put(put(quiet(), '/methods/web/callback/keep', []), '/api/probe', undefined), '/api/account', undefined);
  expect(told(tree)).toEqual(['/api no_probe']);
  const base = definitionOf(put(quiet(), '/status', 'retired'));
  expect(warningsOf(definitionOf(quiet()), base).map(({ pointer, code }) => `${pointer} ${code}`)).toContain('/extends extends_retired');
});

it('an account that a claim names is one', () => {
  const tree = put(put(quiet(), '/methods/web/callback/keep', []), '/api/account', undefined);
  put(tree, '/methods/web/response/id_token', { account: '/sub' });
  expect(told(tree)).toEqual(['/api no_account']);
  expect(told(put(tree, '/methods/signed', undefined))).toEqual([]);
});

it('has a case for each code, and a sentence with each', () => {
  const seen = new Set([...cases.map(([, , expected]) => expected.split(' ')[1]), 'no_probe', 'extends_retired']);
  expect([...seen].sort()).toEqual([...warningCodes].sort());
  for (const { detail } of warningsOf(definitionOf(sample()))) expect(detail).toMatch(/^[A-Z].+\.$/);
});
