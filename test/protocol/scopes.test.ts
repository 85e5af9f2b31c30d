import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDefinition } from '../../src/protocol/definition/parse.ts';
import { type GrantedRules, missingScopes, unionOf } from '../../src/protocol/scopes.ts';

const none: GrantedRules = { implied: {}, unreturned: [], ignore_case: false };

test.each<[string, string[], string[], Partial<GrantedRules>, string[]]>([
  ['order does not count', ['a', 'b'], ['b', 'a'], {}, []],
  ['what is not there is missing, in its order', ['c', 'a', 'b'], ['a'], {}, ['c', 'b']],
  ['capitals count', ['User.Read'], ['user.read'], {}, ['User.Read']],
  ['capitals do not count where the definition says so', ['User.Read', 'Mail.Send'], ['user.read'], { ignore_case: true }, ['Mail.Send']],
  [
    'a scope covers another, and that one more',
    ['read:org', 'repo'],
    ['admin:org'],
    { implied: { 'admin:org': ['write:org'], 'write:org': ['read:org'] } },
    ['repo'],
  ],
  ['scopes that imply each other', ['b'], ['a'], { implied: { a: ['b'], b: ['a'] } }, []],
  ['a covered scope does not cover what covers it', ['repo'], ['public_repo'], { implied: { repo: ['public_repo'] } }, ['repo']],
  ['another name', ['email'], ['https://x.example/userinfo.email'], { implied: { 'https://x.example/userinfo.email': ['email'] } }, []],
  ['what no answer names', ['offline_access', 'read'], ['read'], { unreturned: ['offline_access'] }, []],
  ['a prefix in the request', ['https://g.example/Mail.Read'], ['Mail.Read'], { prefix: 'https://g.example/' }, []],
  [
    'a prefix in the answer',
    ['Mail.Read'],
    ['https://G.example/mail.read', 'https://g.example/mail.read'],
    { prefix: 'https://g.example/', ignore_case: true },
    [],
  ],
  ['names of the language itself', ['constructor', '__proto__'], ['toString'], {}, ['constructor', '__proto__']],
])('%s', (_, requested, granted, rules, missing) => {
  expect(missingScopes(requested, granted, { ...none, ...rules })).toEqual(missing);
});

test('a union keeps the order of the first list', () => {
  expect(unionOf(['b', 'a'], ['a', 'c'])).toEqual(['b', 'a', 'c']);
});

test.each<[string, string[], string, string[]]>([
  [
    'google',
    ['openid', 'email', 'profile'],
    'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile',
    [],
  ],
  ['microsoft', ['openid', 'offline_access', 'User.Read', 'Mail.Read'], 'openid https://graph.microsoft.com/user.read', ['Mail.Read']],
  ['github', ['repo', 'public_repo', 'user:email', 'gist'], 'repo user', ['gist']],
  ['shopify', ['read_products', 'write_orders'], 'write_products', ['write_orders']],
])('%s by its own rules', (id, requested, granted, missing) => {
  const definition = parseDefinition(readFileSync(`providers/${id}.yaml`, 'utf8'), { allowPrivateHosts: false });
  const [method] = Object.values(definition.methods);
  if (method === undefined || !('scopes' in method)) throw new Error(`${id} has no scopes.`);
  expect(missingScopes(requested, granted.split(' '), method.scopes)).toEqual(missing);
});

test('each rule is used by a shipped definition', () => {
  const texts = readdirSync('providers')
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(`providers/${name}`, 'utf8'));
  for (const field of ['implied:', 'unreturned:', 'prefix:', 'ignore_case:'])
    expect([field, texts.some((text) => text.includes(field))]).toEqual([field, true]);
});
