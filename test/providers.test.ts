import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { loadShippedProviders } from '../src/outside/shipped-providers.ts';
import { isOpenHost } from '../src/protocol/definition/choices.ts';
import { declaredInputs, hasOpenHost } from '../src/protocol/definition/inputs.ts';
import { definitionJsonSchema } from '../src/protocol/definition/json-schema.ts';
import { methodPlaces } from '../src/protocol/definition/variables.ts';
import { templateNames } from '../src/protocol/template.ts';

const dir = fileURLToPath(new URL('../providers/', import.meta.url));
const providers = await loadShippedProviders(dir);
const { $schema: _, ...schema } = definitionJsonSchema();
const validator = z.fromJSONSchema(schema);

const ids = [...providers.keys()];

const method = (id: string, name: string) => providers.get(id)?.methods[name];

describe('the shipped providers', () => {
  it('are three hundred at least, and nothing else lies beside them', async () => {
    expect(ids.length).toBeGreaterThanOrEqual(300);
    expect((await readdir(dir)).sort()).toEqual([...ids.map((id) => `${id}.yaml`), 'schema.json'].sort());
  });

  it('have a snapshot each of what is sent, and no snapshot is left of one that has gone', async () => {
    const snapshots = await readdir(fileURLToPath(new URL('providers/snapshots/', import.meta.url)));
    expect(snapshots.sort()).toEqual(ids.map((id) => `${id}.txt`).sort());
  });

  it('have at least twenty with OAuth 1.0a, and forty that are used without an end user at the provider', () => {
    const withGrant = (...grants: string[]) =>
      ids.filter((id) => Object.values(providers.get(id)?.methods ?? {}).some(({ grant }) => grants.includes(grant)));
    expect(withGrant('oauth1').length).toBeGreaterThanOrEqual(20);
    expect(withGrant('client_credentials', 'api_key', 'basic').length).toBeGreaterThanOrEqual(40);
  });

  it('have names of their own: nobody is there twice', () => {
    const names = [...providers.values()].map(({ name }) => name.toLowerCase());
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it.each(ids)('%s is clean YAML that editors check against the schema', async (id) => {
    const text = await readFile(`${dir}${id}.yaml`, 'utf8');
    expect(text.startsWith('# yaml-language-server: $schema=./schema.json\n')).toBe(true);
    const document = parseDocument(text);
    expect([...document.errors, ...document.warnings]).toEqual([]);
    const value: unknown = document.toJS();
    expect(value).toMatchObject({ id });
    expect(providers.get(id)?.documentation).toMatch(/^https:\/\//);
    // One that extends another need not say all that the schema asks for.
    if (!('extends' in Object(value))) expect(validator.safeParse(value).error).toBeUndefined();
  });

  it('a host that is sent our secret is the integration’s in every method', () => {
    const found = [...providers.values()].flatMap((definition) =>
      Object.entries(definition.methods).flatMap(([name, each]) => {
        const named = new Set(methodPlaces(each, []).flatMap(({ kind, template }) => (kind === 'url' ? templateNames(template) : [])));
        const inputs = Object.entries(declaredInputs(definition, each));
        return inputs
          .filter(([input, said]) => named.has(input) && isOpenHost(said) && said.asked_of !== 'integration')
          .map(([input]) => [definition.id, name, input]);
      }),
    );
    expect(found).toEqual([]);
  });

  it('only these let the inputs choose the host', () => {
    const open = [...providers.values()].filter((definition) => Object.values(definition.methods).some((each) => hasOpenHost(definition, each)));
    expect(open.map(({ id }) => id).sort()).toEqual(
      (
        'arcgis-enterprise auth0 authelia authentik bitrix24 clerk cloudfoundry cognito coupa databricks frappe fusionauth generic-oauth2 gitea ' +
        'github-enterprise-server gitlab gitlab-self-managed ' +
        'instructure jira jumpcloud keycloak kinde logto mastodon mattermost mediawiki nextcloud okta osso pocketid propelauth salesforce salesforce-sandbox ' +
        'surfconext tailscale usos workday zammad zitadel'
      ).split(' '),
    );
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
});
