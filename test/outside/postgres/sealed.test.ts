import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../../src/sandbox/browser.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';

/** Whoever reads the database, and nothing else, reads no secret; whoever moves a ciphertext gets nothing out of it. */

let world: Whole;
const secrets: Record<string, string> = {};

beforeAll(async () => {
  world = await startWholeSandbox();
  const { authorizationServer: as, keyService, hostile } = world.sandbox.providers;
  await withAuthorizationServer(world);
  const { key } = await world.clientWith(['connect', 'tokens']);
  const first = await connect(world, 'as', 'u1');
  const token = await world.root.getToken(first);
  const next = await world.root.getToken(first, { force: true });
  await connect(world, 'as', 'u2');
  const opened = await open(first);

  await world.root.call('PUT', '/v1/providers/sandbox-keys', { body: keyService.definition });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'keys', provider: 'sandbox-keys' } });
  const apiKey = keyService.issueKey('ada');
  await world.root.call('POST', '/v1/connections', {
    body: { integration: 'keys', end_user: { id: 'u1' }, grant: 'api_key', inputs: { api_key: apiKey } },
  });
  const password = keyService.issuePassword('ada');
  await world.root.call('POST', '/v1/connections', {
    body: { integration: 'keys', end_user: { id: 'u1' }, grant: 'basic', inputs: { username: 'ada', password } },
    idempotencyKey: 'basic-1',
  });

  await world.root.call('PUT', '/v1/providers/sandbox-hostile', { body: hostile.definition });
  const { redirect_uri } = await world.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'hostile', provider: 'sandbox-hostile', ...hostile.client },
  });
  hostile.registerRedirectUri(redirect_uri);
  const link = await world.root.call<{ url: string }>('POST', '/v1/connect-links', {
    body: { integration: 'hostile', end_user: { id: 'u1' } },
    idempotencyKey: 'link-1',
  });
  // A flow under way: its state and verifier wait in the database.
  as.switches.autoApprove = null;
  const waiting = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u3' } });
  const consent = await (await createBrowser().open(waiting.url)).submit();
  expect(consent.text).toContain('Approve');
  const [held] = await world.sql<{ id: string; attempt: number; pending_sealed: string }>(
    `select id, attempt, pending_sealed from connect_links where id = $1`,
    [waiting.id],
  );
  const pending = await world.broker.world.seal.open(
    { project: 'default', table: 'connect_links', row: held?.id ?? '', field: 'pending', version: held?.attempt ?? 0 },
    held?.pending_sealed ?? '',
  );
  as.switches.autoApprove = { user: 'ada' };

  Object.assign(secrets, {
    'access token': token.access_token,
    'refreshed access token': next.access_token,
    'refresh token': JSON.parse(opened).refresh_token,
    'client secret': as.client.client_secret,
    'PKCE verifier': /"codeVerifier":"([^"]+)"/.exec(pending)?.[1] ?? '',
    'API key of ours': key,
    'root key': world.broker.rootKey,
    'API key of a user': apiKey,
    'password of a user': password,
    'link token': waiting.url.split('/').at(-1),
    'link token in an idempotent answer': link.url.split('/').at(-1),
  });
});
afterAll(() => world.stop());

async function open(id: string): Promise<string> {
  const [row] = await world.sql<{ credential_sealed: string; token_version: number }>(
    'select credential_sealed, token_version from connections where id = $1',
    [id],
  );
  return world.broker.world.seal.open(
    { project: 'default', table: 'connections', row: id, field: 'credential', version: row?.token_version ?? 0 },
    row?.credential_sealed ?? '',
  );
}

const disguises: Record<string, (text: string) => string[]> = {
  plain: (text) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)],
  // Whatever stands before it in the same text: three ways to fall on the groups of three bytes.
  base64: (text) =>
    [0, 1, 2].map((shift) =>
      Buffer.from('x'.repeat(shift) + text)
        .toString('base64')
        .slice(shift === 0 ? 0 : 4, -4),
    ),
  base64url: (text) =>
    [0, 1, 2].map((shift) =>
      Buffer.from('x'.repeat(shift) + text)
        .toString('base64url')
        .slice(shift === 0 ? 0 : 4, -4),
    ),
  hex: (text) => [Buffer.from(text).toString('hex')],
};

test('no secret can be read in any table, plain, in base64 or in hex', async () => {
  const tables = await world.sql<{ table_name: string }>(`select table_name from information_schema.tables where table_schema = 'public'`);
  expect(tables.length).toBeGreaterThan(10);
  const dump = (await Promise.all(tables.map(({ table_name }) => world.sql<{ row: string }>(`select t::text as row from ${table_name} t`))))
    .flat()
    .map(({ row }) => row)
    .join('\n');
  expect(dump.length).toBeGreaterThan(10_000);
  expect(dump).toContain('sandbox-client');
  for (const [name, secret] of Object.entries(secrets)) {
    expect([name, secret.length > 10]).toEqual([name, true]);
    for (const [way, disguise] of Object.entries(disguises)) {
      for (const text of disguise(secret)) expect([name, way, dump.includes(text)]).toEqual([name, way, false]);
    }
  }
});

test('nor in the log', () => {
  const log = world.logged.join('');
  for (const [name, secret] of Object.entries(secrets)) expect([name, log.includes(secret)]).toEqual([name, false]);
});

/** How often a secret of that table did not open, as /metrics says. */
async function unopened(table: string): Promise<number> {
  const answer = await fetch(`${world.url}/metrics`, { headers: { authorization: `Bearer ${world.broker.rootKey}` } });
  const [, count] = new RegExp(`^grantry_integrity_errors_total\\{table="${table}"\\} (\\d+)$`, 'm').exec(await answer.text()) ?? [];
  return Number(count);
}

test('swapped ciphertexts open for neither connection, and for all others as before; it is counted, and the log names the rows', async () => {
  const [a, b, other] = [await connect(world, 'as', 'a'), await connect(world, 'as', 'b'), await connect(world, 'as', 'c')];
  const before = await world.root.getToken(a);
  expect(await unopened('connections')).toBe(0);
  await world.sql(
    `update connections x set credential_sealed = y.credential_sealed from connections y where (x.id = $1 and y.id = $2) or (x.id = $2 and y.id = $1)`,
    [a, b],
  );
  for (const id of [a, b]) {
    const refused = await problemOf(world.root.getToken(id));
    expect(refused).toMatchObject({ status: 500, code: 'integrity_error' });
    expect(JSON.stringify(refused.problem)).not.toContain(before.access_token);
    expect(await problemOf(world.root.getToken(id, { force: true }))).toMatchObject({ code: 'integrity_error' });
    expect(
      await problemOf(world.root.call('POST', `/v1/connections/${id}/sign`, { body: { method: 'GET', url: 'https://example.com/' } })),
    ).toMatchObject({ code: expect.stringMatching(/integrity_error|invalid_request/) });
  }
  expect((await world.root.getToken(other)).access_token).toEqual(expect.any(String));
  expect(await world.root.call('GET', `/v1/connections/${a}`)).toMatchObject({ id: a });
  const told = world.logged.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'a stored secret does not open');
  expect(told.length).toBeGreaterThanOrEqual(4);
  expect([await unopened('connections'), await unopened('integrations')]).toEqual([told.length, 0]);
  for (const id of [a, b])
    expect(told).toContainEqual(expect.objectContaining({ project: 'default', table: 'connections', row: id, field: 'credential' }));
  // A connection that no longer opens can still be deleted.
  await world.root.call('DELETE', `/v1/connections/${a}`);
});

test('an older version put back does not open', async () => {
  const id = await connect(world, 'as', 'd');
  const [old] = await world.sql<{ credential_sealed: string }>('select credential_sealed from connections where id = $1', [id]);
  await world.root.getToken(id, { force: true });
  await world.sql('update connections set credential_sealed = $2 where id = $1', [id, old?.credential_sealed]);
  expect(await problemOf(world.root.getToken(id))).toMatchObject({ status: 500, code: 'integrity_error' });
});

test('what is deleted is erased', async () => {
  const id = await connect(world, 'as', 'e');
  await world.root.call('DELETE', `/v1/connections/${id}`);
  const [row] = await world.sql('select * from connections where id = $1', [id]);
  expect(row).toMatchObject({
    status: 'revoked',
    credential_sealed: null,
    inputs_sealed: null,
    end_user: { id: '' },
    end_user_id: '',
    organization_id: null,
    account: null,
    extras: {},
    metadata: {},
  });
  await expect.poll(async () => (await world.sql('select 1 from revocations where connection_id = $1', [id])).length).toBe(0);
});
