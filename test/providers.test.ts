import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { loadShippedProviders } from '../src/outside/shipped-providers.ts';
import { readDocument } from '../src/protocol/definition/document.ts';
import { hasOpenHost } from '../src/protocol/definition/inputs.ts';
import { definitionJsonSchema } from '../src/protocol/definition/json-schema.ts';
import { parseDefinition } from '../src/protocol/definition/parse.ts';

const dir = fileURLToPath(new URL('../providers/', import.meta.url));
const providers = await loadShippedProviders(dir);
const { $schema: _, ...schema } = definitionJsonSchema();
const validator = z.fromJSONSchema(schema);

const expected =
  'generic-oauth2 github google hubspot microsoft nexmo notion phonegap-build quickbooks salesforce shopify slack stripe trello x xero zendesk'.split(
    ' ',
  );

const method = (id: string, name: string) => providers.get(id)?.methods[name];

describe('the shipped providers', () => {
  it('are these, and nothing else lies beside them', async () => {
    expect([...providers.keys()]).toEqual(expected);
    expect((await readdir(dir)).sort()).toEqual([...expected.map((id) => `${id}.yaml`), 'schema.json', 'drafts'].sort());
  });

  it.each(expected)('%s is clean YAML that editors check against the schema', async (id) => {
    const text = await readFile(`${dir}${id}.yaml`, 'utf8');
    expect(text.startsWith('# yaml-language-server: $schema=./schema.json\n')).toBe(true);
    const document = parseDocument(text);
    expect([...document.errors, ...document.warnings]).toEqual([]);
    const value: unknown = document.toJS();
    expect(value).toMatchObject({ id, documentation: expect.stringMatching(/^https:\/\//) });
    expect(validator.safeParse(value).error).toBeUndefined();
  });

  it('only these let the inputs choose the host', () => {
    const open = [...providers.values()].filter((definition) => Object.values(definition.methods).some((each) => hasOpenHost(definition, each)));
    expect(open.map(({ id }) => id)).toEqual(['generic-oauth2', 'salesforce']);
  });

  it('PhoneGap Build has both ways, and its quirks', () => {
    expect(providers.get('phonegap-build')).toMatchObject({ status: 'retired', api: { token: { in: 'query', name: 'access_token' } } });
    expect(method('phonegap-build', 'web')).toMatchObject({
      grant: 'authorization_code',
      authorization_endpoint: 'https://build.phonegap.com/authorize',
      token_endpoint: 'https://build.phonegap.com/authorize/token',
      code_challenge_method: 'none',
      callback: { state: 'not_echoed', denied: ['authorization_refused'] },
      token: { method: 'POST', format: 'query', omit: ['grant_type', 'redirect_uri'] },
      refresh: { how: 'none' },
    });
    expect(method('phonegap-build', 'auth_token')).toMatchObject({
      grant: 'credential_exchange',
      token_endpoint: 'https://build.phonegap.com/authorize',
      token: { method: 'POST', format: 'query', params: { auth_token: '{auth_token}' } },
      inputs: { auth_token: { secret: true } },
    });
  });

  it('Nexmo goes out of band without a verifier, and a new request token ends the old access', () => {
    expect(providers.get('nexmo')?.status).toBe('retired');
    expect(method('nexmo', 'oauth1')).toMatchObject({
      request_token_endpoint: 'https://dashboard.nexmo.com/oauth/request_token',
      authorization_endpoint: 'https://dashboard.nexmo.com/oauth/authorize',
      authentication_endpoint: 'https://dashboard.nexmo.com/oauth/authenticate',
      access_token_endpoint: 'https://dashboard.nexmo.com/oauth/access_token',
      signature_method: 'HMAC-SHA1',
      callback: { mode: 'oob', verifier: 'absent' },
      reconnect: 'invalidates_existing',
    });
  });

  it('Slack tells its two kinds of token apart', () => {
    expect(method('slack', 'bot')).toMatchObject({
      scopes: { param: 'scope', separator: ',' },
      response: { access_token: '/access_token', token_types: ['bot'] },
    });
    expect(method('slack', 'user')).toMatchObject({
      scopes: { param: 'user_scope', separator: ',' },
      response: { access_token: '/authed_user/access_token', token_types: ['user'], success: { pointer: '/ok', equals: true } },
      refresh: { response: { access_token: '/access_token', refresh_token: '/refresh_token' } },
    });
  });

  it('those whose callback names an issuer say which', () => {
    const issuers = expected.flatMap((id) =>
      Object.values(providers.get(id)?.methods ?? {}).map((each) => ('issuer' in each ? each.issuer : undefined)),
    );
    expect([...new Set(issuers)].filter((issuer) => issuer !== undefined)).toEqual([
      '{issuer}',
      'https://github.com/login/oauth',
      'https://accounts.google.com',
      'https://oauth.platform.intuit.com/op/v1',
      'https://identity.xero.com',
    ]);
  });
});

/** A draft may extend what is shipped, and other drafts. */
describe('the drafts', async () => {
  const drafts = `${dir}drafts/`;
  const files = (await readdir(drafts)).filter((file) => file !== 'README.md').sort();
  const texts = new Map(await Promise.all(files.map(async (file) => [file.slice(0, -5), await readFile(drafts + file, 'utf8')] as const)));
  const base = (id: string) => {
    const text = texts.get(id);
    return text === undefined ? providers.get(id) : readDocument(text);
  };

  it('are three hundred files, none of which is shipped as well', () => {
    expect(files.filter((file) => !file.endsWith('.yaml'))).toEqual([]);
    expect(texts.size).toBeGreaterThanOrEqual(300);
    expect([...texts.keys()].filter((id) => providers.has(id))).toEqual([]);
  });

  it.each([...texts])('%s is a definition that says where it can be checked', (id, text) => {
    expect(text.startsWith('# yaml-language-server: $schema=../schema.json\n')).toBe(true);
    expect(parseDefinition(text, { allowPrivateHosts: false, base })).toMatchObject({ id, documentation: expect.stringMatching(/^https:\/\//) });
  });
});
