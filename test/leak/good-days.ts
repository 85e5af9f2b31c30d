import { generateKeyPairSync } from 'node:crypto';
import { GrantryProblem } from '../../src/client/client.ts';
import { connect, connectionOf, walk } from './connecting.ts';
import { type Integrated, integrate, sound } from './definitions.ts';
import { type Stage, until } from './stage.ts';

/** Every flow as it should go: connected, fetched, renewed, signed, probed, connected again, tested, deleted. */

function fieldsOf({ markers }: Stage, owner: string): Record<string, string> {
  const secret = () => markers.make('end user secret', owner, owner === 'login' ? 'odd' : 'plain');
  if (owner === 'exchange') return { auth_token: secret() };
  if (owner === 'keys') return { api_key: secret() };
  if (owner === 'service') {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const { d, p, q } = privateKey.export({ format: 'jwk' });
    for (const part of [...pem.split('\n').slice(2, 8), d, p, q]) markers.note('end user secret', owner, part);
    return { key: pem };
  }
  return owner === 'login' ? { username: 'ada', password: secret() } : {};
}

async function withoutBrowser({ root }: Stage, owner: string, grant: string, inputs?: Record<string, string>): Promise<string> {
  const body = { integration: owner, end_user: { id: 'machine' }, grant, ...(inputs && { inputs }) };
  return (await root.call<{ id: string }>('POST', '/v1/connections', { body })).id;
}

/** The integrator confirms who is signed in. */
async function connectAsUser(stage: Stage, owner: string): Promise<string> {
  const { root, markers, talker } = stage;
  const walked = await walk(stage, owner, { link: { verification: 'user', return_url: `${talker.url}/return/site` } });
  const nonce = new URL(walked.page.url).searchParams.get('nonce') ?? '';
  markers.note('nonce', 'return', nonce);
  await root.call('POST', `/v1/connect-links/${walked.link.id}/confirm`, { body: { nonce, end_user_id: 'ada-user' } });
  return connectionOf(stage, walked);
}

async function use({ root, talker }: Stage, owner: string, id: string): Promise<void> {
  await root.getToken(id);
  const request = { method: 'POST', url: `${talker.url}/${owner}/me?y=1`, form: { a: 'b' } };
  const signed = await root.call('POST', `/v1/connections/${id}/sign`, { body: request }).catch((error: GrantryProblem) => error);
  // Its signature would be the secrets themselves.
  if (signed instanceof GrantryProblem !== (owner === 'plaintext')) throw signed;
  await root.call('POST', `/v1/connections/${id}/probe`).catch(() => {});
  await root.getToken(id, { force: true });
  await root.call('POST', `/v1/connections/${id}/refresh`).catch(() => {});
  await root.call('GET', `/v1/connections/${id}`);
  await root.call('GET', `/v1/connections/${id}/events`);
}

async function liveOf(stage: Stage, owner: string): Promise<string> {
  const { root } = stage;
  const fields = fieldsOf(stage, owner);
  const id =
    owner === 'machine'
      ? await withoutBrowser(stage, owner, 'client_credentials')
      : owner === 'user'
        ? await connectAsUser(stage, owner)
        : await connect(stage, owner, { fields, ...(owner === 'bearer' && { link: { inputs: { user: 'ada' } } }) });
  await use(stage, owner, id);
  // What comes of a secret the second time does not depend on how it is sent.
  if (['post', 'oauth1', 'phonegap', 'keys', 'in-path'].includes(owner)) {
    await connect(stage, owner, { fields: fieldsOf(stage, owner), link: { connection_id: id, return_url: `${stage.talker.url}/return/site` } });
    const tested = await walk(stage, owner, { fields: fieldsOf(stage, owner), test: true });
    await root.call('GET', `/v1/integrations/${owner}/tests/${tested.link.id}`);
  }
  return id;
}

/** What is written into the queue and comes back out of it: a refresh ahead of its time. */
export async function refreshByWorker({ root, sql }: Stage, id: string): Promise<void> {
  const versionOf = async () =>
    (await sql<{ version: number }>('select token_version as version from connections where id = $1', [id]))[0]?.version ?? 0;
  const before = await versionOf();
  await sql(`update connections set refresh_due_at = now() - interval '1 second' where id = $1`, [id]);
  await until(versionOf, (version) => version > before);
  await root.getToken(id);
}

/** Imported from elsewhere, by the API. */
async function importOne({ root, markers }: Stage): Promise<void> {
  const given = { access_token: markers.make('access token', 'post'), refresh_token: markers.make('refresh token', 'post') };
  const { id } = await root.call<{ id: string }>('POST', '/v1/connections', { body: { integration: 'post', end_user: { id: 'i' }, import: given } });
  await root.getToken(id, { force: true });
}

async function projectsAndKeys({ root, markers }: Stage): Promise<void> {
  for (const scopes of [['connect'], ['tokens'], ['admin']]) {
    const { key, id } = await root.call<{ key: string; id: string }>('POST', '/v1/api-keys', {
      body: { name: scopes.join(), scopes },
      idempotencyKey: `key-${scopes}`,
    });
    markers.note('api key', 'broker', key);
    await root.call('POST', '/v1/api-keys', { body: { name: scopes.join(), scopes }, idempotencyKey: `key-${scopes}` });
    if (scopes[0] === 'connect') await root.call('DELETE', `/v1/api-keys/${id}`);
  }
  await root.call('POST', '/v1/projects', { body: { id: 'other', name: 'Other', return_urls: [] } });
  for (const path of [
    '/v1/api-keys',
    '/v1/api-keys/current',
    '/v1/projects',
    '/v1/integrations',
    '/v1/providers?q=post',
    '/v1/diagnostics',
    '/v1/events',
  ])
    await root.call('GET', path);
}

/** Changed registrations: the secret in its other places. */
async function rotateSecrets({ root, markers, secretOf }: Stage): Promise<void> {
  await root.call('PATCH', '/v1/integrations/post', { body: { client_secrets: [markers.make('client secret', 'post', 'odd'), secretOf('post')] } });
  await root.call('PATCH', '/v1/integrations/tenant', { body: { inputs: { tenant_secret: markers.make('input secret', 'tenant', 'odd') } } });
}

/** Plays all of it; the connections, by whose they are. */
export async function playGoodDays(stage: Stage): Promise<Record<string, string>> {
  const made = await Promise.all(Object.entries(sound).map(async ([owner, method]): Promise<Integrated> => integrate(stage, owner, method)));
  const ids = Object.fromEntries(await Promise.all(made.map(async ({ id }) => [id, await liveOf(stage, id)] as const)));
  await Promise.all([
    refreshByWorker(stage, ids.post ?? ''),
    importOne(stage),
    projectsAndKeys(stage),
    rotateSecrets(stage),
    withoutBrowser(stage, 'keys', 'api_key', fieldsOf(stage, 'keys')),
    withoutBrowser(stage, 'login', 'basic', fieldsOf(stage, 'login')),
    withoutBrowser(stage, 'exchange', 'credential_exchange', fieldsOf(stage, 'exchange')),
  ]);
  for (const owner of ['basic', 'public', 'phonegap', 'oauth1', 'rsa', 'exchange', 'keys', 'in-path'])
    await stage.root.call('DELETE', `/v1/connections/${ids[owner]}`);
  await until(
    () => stage.talker.heard.filter(({ text }) => text.includes('/revoke')).length,
    (count) => count >= 6,
  );
  return ids;
}
