import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { connect, type Whole, withAuthorizationServer } from '../broker/connected.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { serveHttp } from '../outside/local-servers.ts';
import { openProgram, type Program, type Ran } from './program.ts';

let world: Whole;
let program: Program;
let dir: string;
const key = () => world.broker.rootKey;
const grantry = (args: string, { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {}): Promise<Ran> =>
  program.run(args.split(' '), { GRANTRY_URL: world.url, GRANTRY_API_KEY: key(), ...env }, input);
const json = async (args: string, input = ''): Promise<unknown> => {
  const { code, out, err } = await grantry(`--json ${args}`, { input });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
};
async function file(name: string, text: string): Promise<string> {
  await writeFile(join(dir, name), text);
  return join(dir, name);
}
const acme = (more = '') => `id: acme\nname: Acme\n${more}methods: { key: { grant: api_key, inputs: { api_key: { label: K, secret: true } } } }\n`;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-cli-'));
  program = await openProgram();
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
  // Programs start slowly on a busy machine: no token is to be renewed between two of them.
  world.sandbox.providers.authorizationServer.switches.accessTokenTtlS = 3_600;
});
afterAll(async () => {
  await world?.stop();
  await program?.remove();
  await rm(dir, { recursive: true, force: true });
});

describe('definitions', () => {
  test('are found, shown, checked, stored, rolled back and removed', async () => {
    const listed = await grantry('provider list github');
    expect(listed.out.split('\n')[0]).toMatch(/^ID +NAME +SOURCE +STATUS +METHODS$/);
    expect(listed.out).toMatch(/^github +GitHub +shipped +live +web:authorization_code\b/m);
    expect((await grantry('provider show github')).out).toContain('authorization_endpoint: https://github.com/login/oauth/authorize');

    const sound = await file('acme.yaml', acme());
    expect((await grantry(`provider validate ${sound} --requests`)).out).toMatch(/^acme is a sound definition\.\n {2}key \(api_key\)/);
    expect((await grantry('provider validate -', { input: acme() })).code).toBe(0);
    expect((await grantry(`provider add ${sound}`)).out).toContain('acme is stored, version 1.');
    await grantry(`provider add ${await file('two.yaml', acme('categories: [two]\n'))}`);
    expect(await json('provider show acme --history')).toMatchObject([{ version: 2, current: true }, { version: 1 }]);
    expect((await grantry('provider show acme')).out).toBe(acme('categories: [two]\n'));
    expect((await grantry('provider rollback acme 1')).out).toBe('acme is as version 1 was; this is version 3.\n');
    expect((await grantry('provider show acme')).out).toBe(acme());
    expect(await json('provider remove acme')).toEqual({ removed: 'acme' });
  });

  test('with faults: each with its place and what to write instead', async () => {
    const broken = await file('broken.yaml', acme('nme: x\n'));
    const { code, out, err } = await grantry(`provider validate ${broken}`);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^invalid_definition: .*\n {2}\/nme {2}\S/);
    expect((await grantry(`provider add ${broken}`)).code).toBe(1);
    const missing = await grantry(`provider validate ${join(dir, 'nowhere.yaml')}`);
    expect([missing.code, missing.err]).toEqual([2, `${join(dir, 'nowhere.yaml')} cannot be read: there is no such file.\n`]);
  });

  test('are drafted from what a server publishes', async () => {
    const issuer = world.sandbox.providers.authorizationServer.issuer;
    const { code, out } = await grantry(`provider discover ${issuer}`);
    expect(code).toBe(0);
    expect(out).toContain('grant: authorization_code');
    expect((await grantry('provider validate -', { input: out })).code).toBe(0);
  });
});

describe('integrations, links and connections', () => {
  test('from the registration to the end of a connection', async () => {
    const { client_id, client_secret } = world.sandbox.providers.authorizationServer.client;
    const add = `integration add mine --provider sandbox-as --client-id ${client_id}`;
    const unasked = await grantry(add);
    expect([unasked.code, unasked.out]).toEqual([2, '']);
    expect(unasked.err).toContain('there is no terminal to ask at');
    const added = await grantry(`${add} --client-secret-file -`, { input: `${client_secret}\n` });
    expect(added.out).toMatch(/^redirect_uri +http/m);
    expect(added.err).toContain('Register the redirect_uri');
    const shown = (await json('integration show mine')) as { redirect_uri: string };
    expect(shown).toMatchObject({ has_client_secret: true, client_secret_count: 1 });
    world.sandbox.providers.authorizationServer.registerRedirectUri(shown.redirect_uri);
    expect((await grantry('integration list')).out).toMatch(/^mine +sandbox-as/m);

    const secret = await file('secret', client_secret);
    const old = await file('old', 'the-old-one');
    expect((await grantry(`integration rotate-secret mine --client-secret-file ${secret} --keep-old-file ${old}`)).out).toContain(
      'both client secrets',
    );
    expect(await json('integration show mine')).toMatchObject({ client_secret_count: 2 });

    const link = program.start(['link', 'create', 'mine', '--end-user', 'eve', '--wait', '--json'], {
      GRANTRY_URL: world.url,
      GRANTRY_API_KEY: key(),
    });
    // A program has to know the link before there is a result.
    const { url } = JSON.parse(await link.said(/^\{.+\}$/m));
    await (await createBrowser().open(url)).submit();
    const waited = await link.ended;
    expect(waited.code).toBe(0);
    const id: string = JSON.parse(waited.out).connection_id;

    expect((await grantry('connection list --end-user eve')).out).toMatch(new RegExp(`^${id} +mine +eve +active`, 'm'));
    expect(await json(`connection show ${id}`)).toMatchObject({ id, status: 'active' });
    const token = (await json(`connection token ${id}`)) as { access_token: string };
    expect(await grantry(`connection token ${id}`)).toEqual({ code: 0, out: `${token.access_token}\n`, err: '' });
    expect((await grantry(`connection refresh ${id}`)).out).toMatch(/^status +active$/m);
    expect((await grantry(`connection token ${id}`)).out).not.toBe(`${token.access_token}\n`);
    expect((await grantry(`connection events ${id}`)).out).toMatch(/connection\.refreshed\n {2}\S/);
    expect((await grantry(`connection revoke ${id}`)).code).toBe(0);
    expect((await grantry(`connection show ${id}`)).code).toBe(1);
    expect((await grantry('integration remove mine')).code).toBe(0);
  });

  test('a test of an integration shows its steps and ends with them', async () => {
    const test = program.start(['provider', 'test', 'as'], { GRANTRY_URL: world.url, GRANTRY_API_KEY: key() });
    const url = await test.said(/http\S+\/connect\/\S+/);
    await (await createBrowser().open(url)).submit();
    const { code, out, err } = await test.ended;
    expect([code, out]).toEqual([0, 'The integration works.\n']);
    expect(err).toMatch(/^ok +token: .+\n +POST http.+\n +HTTP 200: \/access_token \(text\)/m);
    expect(err).toMatch(/^ok +understood: .+\n +token_type: bearer/m);
  });

  test('an export holds all of it and no secret', async () => {
    const id = await connect(world, 'as', 'exported');
    const { out } = await grantry('export all');
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toContainEqual(expect.objectContaining({ kind: 'connection', id }));
    expect(lines).toContainEqual(expect.objectContaining({ kind: 'integration', id: 'as' }));
    expect(lines).toContainEqual(expect.objectContaining({ kind: 'provider', id: 'sandbox-as', yaml: expect.stringContaining('sandbox-as') }));
    expect(out).not.toContain(world.sandbox.providers.authorizationServer.client.client_secret);
    expect((await grantry('export secrets')).code).toBe(2);
  });
});

test('keys and projects', async () => {
  const made = await grantry('key create worker --scope tokens connect');
  expect(made.out).toMatch(/^grt_\S+\n$/);
  const [worker] = (await json('key list')) as { id: string; name: string }[];
  expect(worker).toMatchObject({ name: 'worker' });
  expect((await grantry('key list', { env: { GRANTRY_API_KEY: made.out.trim() } })).code).toBe(4);
  expect((await grantry(`key revoke ${worker?.id}`)).code).toBe(0);
  expect((await grantry('connection list', { env: { GRANTRY_API_KEY: made.out.trim() } })).code).toBe(4);
  expect(await json('project create beta --name Beta --return-url https://beta.example.com/done')).toMatchObject({ id: 'beta' });
  expect((await grantry('project list')).out).toMatch(/^beta +Beta +https:\/\/beta.example.com\/done/m);
  const { key: elsewhere } = await world.clientWith(['admin']);
  const wrong = await grantry('--project beta integration list', { env: { GRANTRY_API_KEY: elsewhere } });
  expect([wrong.code, wrong.out, wrong.err]).toEqual([2, '', expect.stringContaining('This key is of the project "default", and reaches no other')]);
  expect((await grantry('--project default integration list', { env: { GRANTRY_API_KEY: elsewhere } })).code).toBe(0);
  const narrow = (await json('key create narrow --scope tokens --integration as --end-user u1 --address 127.0.0.0/8 ::1')) as { id: string };
  expect(narrow).toMatchObject({ limits: { integration: 'as', end_user: 'u1', addresses: ['127.0.0.0/8', '::1/128'] } });
  const next = await grantry(`key rotate ${narrow.id} --overlap 60`);
  expect(next.out).toMatch(/^grt_\S+\n$/);
  expect(next.err).toMatch(/takes the place of key_\w+: keep the key now/);
  expect((await grantry(`key show ${narrow.id}`)).out).toMatch(/replaced_by +key_/);
  await json('project create short --name Short');
  expect((await grantry('project delete short')).out).toBe('short is gone, with its keys. Its id is not given again.\n');
  expect((await grantry('project delete short')).code).not.toBe(0);
  expect(await json('project update beta --name Gamma')).toMatchObject({ name: 'Gamma', return_urls: ['https://beta.example.com/done'] });
  expect(await json('--project beta integration list')).toEqual([]);
});

describe('the doctor', () => {
  test('says how each thing is', async () => {
    const checks = (await json('doctor')) as { check: string; outcome: string }[];
    expect(Object.fromEntries(checks.map(({ check, outcome }) => [check, outcome]))).toEqual({
      broker: 'ok',
      readiness: 'ok',
      clock: 'ok',
      'public address': 'ok',
      configuration: 'warning',
      // The server of the tests does not wait for its disk.
      database: 'warning',
      redis: 'ok',
      keys: 'warning',
    });
    expect((await grantry('doctor')).out).toMatch(/^warning +database: Postgres \d+.+synchronous_commit/m);
  });

  const outcomesOf = async (env: Record<string, string> = {}) => {
    const { code, out } = await grantry('--json doctor', { env });
    const checks = JSON.parse(out) as { check: string; outcome: string; advice?: string }[];
    return { code, outcomes: Object.fromEntries(checks.map(({ check, outcome }) => [check, outcome])), checks };
  };

  test('with Postgres away, says that, and how everything else is', async () => {
    const { pathname } = new URL(world.database.url);
    const name = decodeURIComponent(pathname.slice(1));
    // From a database beside it: nobody is let into this one.
    const beside = new pg.Client(new URL('/postgres', world.database.url).href);
    await beside.connect();
    await beside.query(`alter database ${beside.escapeIdentifier(name)} allow_connections false`);
    try {
      await beside.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
      const { code, outcomes } = await outcomesOf();
      expect(code).toBe(1);
      expect(outcomes).toEqual({
        broker: 'ok',
        readiness: 'failed',
        clock: 'ok',
        'public address': 'ok',
        configuration: 'warning',
        database: 'failed',
        redis: 'ok',
        keys: 'warning',
        project_keys: 'warning',
      });
    } finally {
      await beside.query(`alter database ${beside.escapeIdentifier(name)} allow_connections true`);
      await beside.end();
    }
    expect((await outcomesOf()).code).toBe(0);
  });

  test('with a key that may not ask, says so and how the rest is', async () => {
    const { key: less } = await world.clientWith(['admin']);
    const { code, outcomes, checks } = await outcomesOf({ GRANTRY_API_KEY: less });
    expect([code, outcomes]).toEqual([1, { broker: 'ok', readiness: 'ok', clock: 'ok', diagnostics: 'failed' }]);
    expect(checks.at(-1)?.advice).toContain('root key');
  });

  test('a broker that takes its time has no clock that is wrong, and a proxy may leave the date out', async () => {
    let isDated = true;
    const slow = await serveHttp((request, response) => {
      response.sendDate = isDated;
      const answer = { '/healthz': { status: 'ok' }, '/v1/diagnostics': { checks: [], public_url: 'http://127.0.0.1:1' } }[request.url ?? ''] ?? {};
      const late = request.url === '/readyz' && isDated ? 6_000 : 0; // longer than clocks may be apart
      void sleep(late).then(() => response.setHeader('content-type', 'application/json').end(JSON.stringify(answer)));
    });
    const url = { GRANTRY_URL: `http://127.0.0.1:${slow.port}/` };
    try {
      expect((await outcomesOf(url)).outcomes).toEqual({ broker: 'ok', readiness: 'ok', clock: 'ok', 'public address': 'failed' });
      isDated = false;
      const { checks } = await outcomesOf(url);
      expect(checks.find(({ check }) => check === 'clock')).toMatchObject({ outcome: 'warning', what: 'The answer has no Date.' });
    } finally {
      await slow.close();
    }
  });

  test('where something else answers, says what', async () => {
    const page = await serveHttp((_, response) => void response.setHeader('content-type', 'text/html').end('<h1>Welcome</h1>'));
    const { code, out } = await grantry('doctor', { env: { GRANTRY_URL: `http://127.0.0.1:${page.port}` } });
    await page.close();
    expect([code, out]).toEqual([1, expect.stringMatching(/^FAILED +broker: What answers at \S+ is no broker: HTTP 200/)]);
  });

  test('where nobody answers, says so', async () => {
    const { code, out } = await grantry('doctor', { env: { GRANTRY_URL: 'http://127.0.0.1:1' } });
    expect(code).toBe(1);
    expect(out).toMatch(/^FAILED +broker: Nothing answers/);
  });
});

describe('what ends a command otherwise', () => {
  test.each([
    ['a key that is none', 'key list', { GRANTRY_API_KEY: 'grt_wrong' }, 4, /^unauthorized: /],
    ['no key at all', 'key list', { GRANTRY_API_KEY: '' }, 2, /^No API key: set GRANTRY_API_KEY/],
    ['nobody there', 'key list', { GRANTRY_URL: 'http://127.0.0.1:1' }, 3, /^unreachable: Nothing answers at http:\/\/127\.0\.0\.1:1/],
    ['no address', 'key list', { GRANTRY_URL: 'localhost' }, 2, /is not an address/],
    ['an address that is none', 'key list', { GRANTRY_URL: 'http://%' }, 2, /is not an address/],
    ['seconds that are none', 'link create as --end-user a --expires-in abc', {}, 2, /--expires-in must be a whole number from 1 on/],
    ['a command that there is not', 'provider lst', {}, 2, /Did you mean list\?/],
    ['an argument too few', 'provider show', {}, 2, /missing required argument 'id'/],
    ['a pair that is none', 'link create as --end-user a --input x', {}, 2, /"x" must be name=value/],
    ['a number that is none', 'connection list --limit many', {}, 2, /--limit must be a whole number/],
    ['what there is not', 'connection show con_nothing', {}, 1, /^not_found: There is no connection "con_nothing" here\.\n$/],
    ['a token of what there is not', 'connection token con_01m8knb1kq1dwwy9cf7qtzr27p', {}, 1, /^not_found: There is no connection "con_\w+" here/],
    ['a version that there is not', 'provider rollback sandbox-as 9', {}, 1, /^not_found: There is no such version of a definition of your own/],
    ['a version that is none', 'provider rollback acme two', {}, 2, /^The version must be a whole number from 1 on/],
    ['nothing to change', 'project update default', {}, 2, /^There is nothing to change/],
  ])('%s', async (_, args, env, code, words) => {
    const ran = await grantry(args, { env });
    expect([ran.code, ran.out]).toEqual([code, '']);
    expect(ran.err).toMatch(words);
  });

  test('with --json a program reads the problem', async () => {
    const { code, err } = await grantry('--json connection show con_nothing');
    expect([code, JSON.parse(err)]).toEqual([1, expect.objectContaining({ code: 'not_found', status: 404 })]);
    const wrong = await grantry('connection show --json');
    expect([wrong.code, JSON.parse(wrong.err)]).toEqual([2, { code: 'usage', detail: "missing required argument 'id'" }]);
  });
});

test('what a help names is an option', async () => {
  const { out } = await grantry('integration rotate-secret --help');
  expect(out.match(/--keep-old[\w-]*/g)).toEqual(['--keep-old-file', '--keep-old-file']);
  expect(out).toMatch(/^ +--json +answers as JSON/m);
});

const shell = promisify(execFile);

test('completion scripts know the commands, whatever stands between them', async () => {
  const script = (await grantry('completion bash')).out;
  const cases = [
    ['connection', 're'],
    ['--project', 'connection', 'key', 're'],
    ['provider', 'show', 'github', '--hi'],
    ['--json', 'export', 'p'],
    ['connection', 'list', '--status', ''],
  ].map(
    (words) => `COMP_WORDS=(grantry ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _grantry; echo "\${COMPREPLY[@]}"`,
  );
  const { stdout } = await shell('bash', ['-c', [script, ...cases].join('\n')]);
  expect(stdout.split('\n').slice(0, -1)).toEqual(['refresh revoke', 'revoke', '--history', 'providers', '']);
  expect((await grantry('completion fish')).out).toContain("__fish_seen_subcommand_from list show token refresh probe revoke events' -a 'list show");
  expect((await grantry('completion tcsh')).code).toBe(2);
});

test('what cannot be written is no success; a reader that has seen enough is', async () => {
  const run = (line: string) =>
    shell('bash', ['-c', line], { env: { PATH: process.env.PATH, NODE: process.execPath, CLI: join(inject('dist'), 'cli.js') } });
  await expect(run('"$NODE" "$CLI" completion bash > /dev/full')).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('ENOSPC') });
  expect((await run('"$NODE" "$CLI" completion bash | true; echo ${PIPESTATUS[0]}')).stdout).toBe('0\n');
});
