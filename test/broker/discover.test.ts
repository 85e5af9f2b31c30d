import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GrantryClient } from '../../src/client/client.ts';
import { draftDefinition } from '../../src/protocol/discovery/draft.ts';
import { issuerDetail, metadataAddresses, readMetadata } from '../../src/protocol/discovery/metadata.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { type Local, serveHttp } from '../outside/local-servers.ts';
import { type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;
let admin: GrantryClient;
let server: Local | undefined;

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
  admin = await world.clientWith(['admin']);
});
afterAll(() => world.stop());
afterEach(async () => {
  await server?.close();
  server = undefined;
});

type Discovered = {
  metadata_url: string;
  definition: { id: string; methods: Record<string, Record<string, unknown>> };
  yaml: string;
  scopes_supported: string[];
  notes: string[];
  existing: { id: string; source: string; differences: { pointer: string; ours: unknown; theirs: unknown }[] } | null;
};
const discover = (body: object) => admin.call<Discovered>('POST', '/v1/providers/discover', { body });

/** A server that answers as `talk` says; the issuer is its address. */
async function serving(talk: (path: string, issuer: string, response: ServerResponse, request: IncomingMessage) => void): Promise<string> {
  let issuer = '';
  server = await serveHttp((request, response) => talk(request.url ?? '', issuer, response, request));
  issuer = `http://127.0.0.1:${server.port}`;
  return issuer;
}
const sound = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  response_types_supported: ['code'],
});
const answering = (document: (issuer: string) => unknown) => serving((_, issuer, response) => response.end(JSON.stringify(document(issuer))));

describe('a server of the standards', () => {
  it('is drafted, in JSON and in YAML that PUT takes, and stored nowhere', async () => {
    const { url } = world.sandbox.providers.authorizationServer;
    await admin.call('DELETE', '/v1/integrations/as').catch(() => {});
    const before = await world.sql('select count(*) from provider_versions');
    const found = await discover({ issuer: url });
    expect(await world.sql('select count(*) from provider_versions')).toEqual(before);
    expect(found.metadata_url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\.well-known\//);
    expect(found.definition.methods).toMatchObject({
      web: {
        grant: 'authorization_code',
        issuer: url,
        authorization_endpoint: `${url}/auth`,
        token_endpoint: `${url}/token`,
        revocation_endpoint: `${url}/token/revocation`,
        introspection_endpoint: `${url}/token/introspection`,
      },
      machine: { grant: 'client_credentials', issuer: url },
    });
    // It says that its callbacks hold iss, that Basic is understood, and S256: what is usual is left out.
    for (const field of ['iss_parameter', 'token_endpoint_auth_method', 'code_challenge_method'])
      expect(found.definition.methods.web).not.toHaveProperty(field);
    expect(found.scopes_supported).toEqual(expect.arrayContaining(['read', 'offline_access']));
    const id = 'drafted';
    const put = await admin.call<object>('PUT', `/v1/providers/${id}`, {
      body: found.yaml.replace(/^id: .*$/m, `id: ${id}`),
      contentType: 'application/yaml',
    });
    expect(put).toMatchObject({ id, source: 'own' });
    await admin.call('DELETE', `/v1/providers/${id}`);
  });

  it('is compared with the definition of the same issuer, or the one that is named', async () => {
    const { url, definition } = world.sandbox.providers.authorizationServer;
    const same = await discover({ issuer: url });
    expect(same.existing).toMatchObject({ id: 'sandbox-as', source: 'own' });
    expect(same.definition.id).toBe('sandbox-as');
    const changed = JSON.parse(definition);
    changed.id = 'old';
    changed.methods = {
      web: {
        ...changed.methods.web,
        token_endpoint: `${url}/old-token`,
        revocation_endpoint: undefined,
        code_challenge_method: 'none',
        scopes: { default: ['read', 'gone'] },
      },
    };
    await admin.call('PUT', '/v1/providers/old', { body: changed });
    const { existing } = await discover({ issuer: url, provider: 'old' });
    const told = Object.fromEntries((existing?.differences ?? []).map(({ pointer, ours, theirs }) => [pointer, [ours, theirs]]));
    expect(told).toMatchObject({
      '/methods/web/token_endpoint': [`${url}/old-token`, `${url}/token`],
      '/methods/web/revocation_endpoint': [null, `${url}/token/revocation`],
      '/methods/web/code_challenge_method': ['none', ['S256']],
      '/methods/web/scopes/default': [['read', 'gone'], expect.arrayContaining(['read'])],
    });
    expect(told).not.toHaveProperty('/methods/web/token_endpoint_auth_method');
    expect(told).not.toHaveProperty('/methods/web/authorization_endpoint');
    await admin.call('DELETE', '/v1/providers/old');
    expect(await problemOf(discover({ issuer: url, provider: 'nobody' }))).toMatchObject({ status: 404 });
  });

  it('is drafted although a definition was stored that would be refused today, and the list goes on without that one', async () => {
    const { url, definition } = world.sandbox.providers.authorizationServer;
    for (const id of ['outdated', 'notion'])
      await world.sql(
        `insert into provider_versions (project_id, provider_id, version, definition, current)
         select project_id, $1::text, 1, jsonb_set(jsonb_set(definition::jsonb, '{id}', to_jsonb($1::text)), '{methods,web,token_endpoint}', '"ftp://nowhere"')::json, true
         from provider_versions where provider_id = 'sandbox-as' and current limit 1`,
        [id],
      );
    await admin.call('PUT', '/v1/providers/sound', { body: { ...JSON.parse(definition), id: 'sound' } });
    try {
      const found = await discover({ issuer: await answering(sound) });
      expect(found.notes.filter((note) => note.includes('refused today')).map((note) => /"(.*?)"/.exec(note)?.[1])).toEqual(['notion', 'outdated']);
      expect((await discover({ issuer: url })).existing).toMatchObject({ source: 'own' });
      for (const [q, has] of [
        ['sound', true],
        ['outdated', false],
        ['notion', false],
      ] as const) {
        const { data } = await admin.call<{ data: { id: string }[] }>('GET', '/v1/providers', { query: { q } });
        expect([q, data.some(({ id }) => id === q)]).toEqual([q, has]);
      }
      expect(await admin.call('GET', '/v1/providers/outdated')).toMatchObject({ faults: [{ pointer: '/methods/web/token_endpoint' }] });
      expect(world.logged.filter((line) => line.includes('passed over') && line.includes('outdated'))).not.toEqual([]);
    } finally {
      await world.sql(`delete from provider_versions where provider_id in ('outdated', 'notion')`);
      await admin.call('DELETE', '/v1/providers/sound');
    }
  });

  it('is found by either of the two addresses, also with a path', async () => {
    const asked: string[] = [];
    const tenant = async (suffix: string) => {
      asked.length = 0;
      const base = await serving((path, issuer, response) => {
        asked.push(path);
        if (path === suffix) response.end(JSON.stringify(sound(`${issuer}/tenant`)));
        else response.writeHead(404).end('not here');
      });
      const { definition } = await discover({ issuer: `${base}/tenant` });
      await server?.close();
      return definition.methods.web;
    };
    expect(await tenant('/.well-known/oauth-authorization-server/tenant')).toMatchObject({ iss_parameter: 'optional' });
    expect(asked).toHaveLength(1);
    expect(await tenant('/tenant/.well-known/openid-configuration')).toMatchObject({ grant: 'authorization_code' });
    expect(asked).toEqual(['/.well-known/oauth-authorization-server/tenant', '/tenant/.well-known/openid-configuration']);
  });
});

describe('hostile metadata', () => {
  const refusal = async (issuer: string) => {
    const { status, code, problem } = await problemOf(discover({ issuer }));
    const [fault] = (problem.errors ?? []) as { pointer: string; detail: string }[];
    return { status, code, pointer: fault?.pointer, detail: fault?.detail ?? '' };
  };

  it.each<[string, (issuer: string) => string, RegExp]>([
    ['of another issuer', () => 'https://login.example.com', /another issuer/],
    ['with a slash more', (issuer) => `${issuer}/`, /slash at the end: give it with/],
    ['in another case', (issuer) => issuer.replace('http', 'HTTP'), /upper and lower case/],
  ])('%s is refused', async (_, told, detail) => {
    const issuer = await answering((address) => ({ ...sound(address), issuer: told(address) }));
    const refused = await refusal(issuer);
    expect(refused).toMatchObject({ status: 502, code: 'bad_provider_answer', pointer: '/issuer' });
    expect(refused.detail).toMatch(detail);
    expect(refused.detail).not.toContain('login.example.com');
  });

  it.each(['authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'introspection_endpoint', 'userinfo_endpoint'])(
    'whose %s is no address is refused',
    async (name) => {
      for (const address of ['ftp://x.com/', 'https://user@x.com/', 'https://x.com/#a', '/token', 'https://x.com/{secret}']) {
        const issuer = await answering((own) => ({ ...sound(own), [name]: address }));
        expect([address, await refusal(issuer)]).toMatchObject([address, { status: 502, pointer: `/${name}` }]);
        await server?.close();
      }
    },
  );

  it.each<[string, (response: ServerResponse, issuer: string) => unknown, RegExp]>([
    ['10 MB', (response, issuer) => response.end(JSON.stringify({ ...sound(issuer), more: 'x'.repeat(10_000_000) })), /large/],
    ['HTML', (response) => response.end('<html>hello</html>'), /not JSON/],
    ['a list', (response) => response.end('[]'), /missing/],
    ['a redirect', (response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(), /not followed/],
    ['500', (response) => response.writeHead(500).end('{}'), /answers 500/],
    ['no issuer', (response) => response.end('{"token_endpoint": "https://x.com/token"}'), /missing/],
    ['endpoints that are no texts', (response, issuer) => response.end(JSON.stringify({ ...sound(issuer), token_endpoint: { a: 1 } })), /kind/],
  ])('%s is refused with a sentence', async (_, talk, detail) => {
    const issuer = await serving((_path, address, response) => talk(response, address));
    const refused = await refusal(issuer);
    expect(refused).toMatchObject({ status: 502, code: 'bad_provider_answer' });
    expect(refused.detail).toMatch(detail);
    expect(refused.detail).toMatch(/\.$/);
  });

  it('that ends in the middle, or cannot be reached, is told as such', async () => {
    const issuer = await serving((_path, _issuer, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
      response.destroy();
    });
    expect(await problemOf(discover({ issuer }))).toMatchObject({ status: 503, code: 'no_answer' });
    await server?.close();
    expect(await problemOf(discover({ issuer }))).toMatchObject({ status: 503, code: 'provider_unreachable' });
  });

  it('without a token endpoint, or with other grants only, gives no draft', async () => {
    for (const change of [{ token_endpoint: undefined }, { grant_types_supported: ['implicit'] }, { response_types_supported: ['id_token'] }]) {
      const issuer = await answering((address) => ({ ...sound(address), ...change }));
      expect(await problemOf(discover({ issuer }))).toMatchObject({ status: 422, code: 'unsupported' });
      await server?.close();
    }
  });
});

describe('an issuer', () => {
  it.each(['ftp://x', 'x', '', 'http://a:b@127.0.0.1', 'http://127.0.0.1?a', 'http://127.0.0.1#a', 'http://127.0.0.1/{a}'])(
    '%j is refused',
    async (issuer) => {
      expect(await problemOf(discover({ issuer }))).toMatchObject({
        status: 400,
        code: 'invalid_request',
        problem: { errors: [{ pointer: '/issuer' }] },
      });
    },
  );

  it.each([
    'http://login.acme.com',
    'https://10.0.0.1',
    'https://169.254.169.254/latest',
    'https://localhost',
    'https://metadata.internal',
    'https://[::1]',
  ])('%s is no public one', (issuer) => {
    expect(issuerDetail(issuer, { allowPrivateHosts: false })).toMatch(/^The (?:host|address) /);
  });

  it('has its metadata where the standards say', () => {
    expect(metadataAddresses('https://a.com')).toEqual([
      'https://a.com/.well-known/oauth-authorization-server',
      'https://a.com/.well-known/openid-configuration',
    ]);
    expect(metadataAddresses('https://a.com/')).toEqual(metadataAddresses('https://a.com'));
    expect(metadataAddresses('https://a.com/t/v2/')).toEqual([
      'https://a.com/.well-known/oauth-authorization-server/t/v2',
      'https://a.com/t/v2/.well-known/openid-configuration',
    ]);
  });

  it('whose endpoints are private is refused where private hosts are', () => {
    const read = (change: object) =>
      readMetadata(JSON.stringify({ ...sound('https://a.com'), ...change }), 'https://a.com', { allowPrivateHosts: false });
    expect(read({})).toHaveProperty('metadata');
    for (const address of [
      'http://169.254.169.254/',
      'https://169.254.169.254/',
      'https://10.1.2.3/token',
      'https://db.internal/',
      'https://localhost/',
    ])
      expect(read({ token_endpoint: address })).toMatchObject({ faults: [{ pointer: '/token_endpoint' }] });
  });
});

describe('a draft', () => {
  const drafted = (change: object) => {
    const found = readMetadata(JSON.stringify({ ...sound('https://login.acme.com'), ...change }), 'https://login.acme.com', {
      allowPrivateHosts: false,
    });
    if (!('metadata' in found)) throw new Error('not sound');
    const draft = draftDefinition(found.metadata, undefined);
    return { web: draft?.definition.methods.web, machine: draft?.definition.methods.machine, definition: draft?.definition };
  };
  it.each([
    [{}, undefined],
    [{ token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'] }, undefined],
    [{ token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_post'] }, 'client_secret_post'],
    [{ token_endpoint_auth_methods_supported: ['tls_client_auth', 'private_key_jwt'] }, 'private_key_jwt'],
    [{ token_endpoint_auth_methods_supported: ['none'] }, 'none'],
    [{ token_endpoint_auth_methods_supported: ['tls_client_auth'] }, undefined],
  ])('authenticates as %j says', (change, expected) => {
    expect(drafted(change).web).toHaveProperty('grant');
    expect(Reflect.get(drafted(change).web ?? {}, 'token_endpoint_auth_method')).toBe(expected);
  });
  it.each([
    [{}, undefined],
    [{ code_challenge_methods_supported: ['plain', 'S256'] }, undefined],
    [{ code_challenge_methods_supported: ['plain'] }, 'plain'],
    [{ code_challenge_methods_supported: [] }, 'none'],
  ])('has PKCE as %j says', (change, expected) => {
    expect(Reflect.get(drafted(change).web ?? {}, 'code_challenge_method')).toBe(expected);
  });
  it('says form_post only where there is no query, iss where it is promised, and a machine where it may', () => {
    expect(drafted({ response_modes_supported: ['form_post', 'fragment'] }).web).toMatchObject({ callback: { response_mode: 'form_post' } });
    expect(drafted({ response_modes_supported: ['form_post', 'query'] }).web).not.toHaveProperty('callback');
    expect(drafted({ authorization_response_iss_parameter_supported: true }).web).not.toHaveProperty('iss_parameter');
    expect(drafted({}).web).toMatchObject({ iss_parameter: 'optional' });
    expect(drafted({}).machine).toBeUndefined();
    expect(drafted({ grant_types_supported: ['client_credentials'] })).toMatchObject({ web: undefined, machine: { grant: 'client_credentials' } });
    expect(drafted({ service_documentation: 'https://acme.com/docs' }).definition).toMatchObject({
      id: 'login-acme-com',
      documentation: 'https://acme.com/docs',
    });
    expect(drafted({ service_documentation: 'javascript:alert(1)' }).definition).not.toHaveProperty('documentation');
  });
});

it('discovery is for admins', async () => {
  const connect = await world.clientWith(['connect', 'tokens']);
  expect(await problemOf(connect.call('POST', '/v1/providers/discover', { body: { issuer: 'https://a.com' } }))).toMatchObject({ status: 403 });
});
