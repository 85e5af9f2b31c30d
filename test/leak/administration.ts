import { createGrantryClient } from '../../src/client/client.ts';
import { type Stage, until } from './stage.ts';
import { noteDataKeys } from './unwrapped.ts';

/** What whoever runs the broker does: keys, projects, versions of definitions, endpoints, the audit log, the keys that seal. */

type Named = { id: string };

/** All is sealed anew, with a new master key. The time that processes are given to turn to it is cut short. */
export async function rotateKeys({ root, kms, sql }: Stage): Promise<void> {
  kms.rotate();
  await root.call('POST', '/v1/encryption/rotate');
  const phase = async () => (await root.call<{ rotation: { phase: string } }>('GET', '/v1/encryption', { query: { count: 'true' } })).rotation.phase;
  await until(phase, (seen) => seen === 'settling');
  await sql(`update key_rotations set keys_changed_at = now() - interval '1 hour' where phase = 'settling'`);
  await until(phase, (seen) => seen === 'done');
}

/** A key that another one follows, both in use. */
async function rotateApiKey({ root, recorder, markers }: Stage): Promise<void> {
  const made = await root.call<Named & { key: string }>('POST', '/v1/api-keys', { body: { name: 'old', scopes: ['admin'] } });
  const next = await root.call<Named & { key: string }>('POST', `/v1/api-keys/${made.id}/rotate`, { body: { overlap: 3_600 } });
  for (const { key } of [made, next]) {
    markers.note('api key', 'broker', key);
    await createGrantryClient({ baseUrl: recorder.url, apiKey: key }).call('GET', '/v1/audit');
  }
  await root.call('PATCH', `/v1/api-keys/${next.id}`, { body: { limits: { addresses: ['127.0.0.0/8'] } } });
  await root.call('GET', `/v1/api-keys/${made.id}`);
}

/** A project with everything that it can have, and its end. */
async function endProject(stage: Stage): Promise<void> {
  const { root, recorder, markers, env, secretOf, talker } = stage;
  const owner = 'leaving';
  await root.call('POST', '/v1/projects', { body: { id: owner, name: 'Leaving', return_urls: [] } });
  await root.call('PATCH', `/v1/projects/${owner}`, { body: { name: 'Left' } });
  await root.call('GET', `/v1/projects/${owner}`);
  const inside = createGrantryClient({ baseUrl: recorder.url, apiKey: env.GRANTRY_ROOT_KEY ?? '', project: owner });
  const at = `${talker.url}/${owner}`;
  const web = {
    grant: 'authorization_code',
    authorization_endpoint: `${at}/authorize`,
    token_endpoint: `${at}/token`,
    revocation_endpoint: `${at}/revoke`,
  };
  const definition = { id: owner, name: 'Leaving', methods: { web } };
  for (const name of ['First', 'Second']) await inside.call('PUT', `/v1/providers/${owner}`, { body: JSON.stringify({ ...definition, name }) });
  await inside.call('POST', `/v1/providers/${owner}/rollback`, { body: { version: 1 } });
  for (const path of ['', '/versions', '/versions/2']) await inside.call('GET', `/v1/providers/${owner}${path}`);
  const { key } = await inside.call<{ key: string }>('POST', '/v1/api-keys', { body: { name: owner, scopes: ['connect'] } });
  markers.note('api key', 'broker', key);
  const hook = await inside.call<{ secret: string }>('POST', '/v1/webhook-endpoints', { body: { url: `${at}/hook` } });
  markers.note('webhook secret', owner, hook.secret.replace('whsec_', ''));
  await inside.call('POST', '/v1/integrations', { body: { id: owner, provider: owner, client_id: 'leaving', client_secret: secretOf(owner) } });
  const link = await inside.call<{ url: string }>('POST', '/v1/connect-links', { body: { integration: owner, end_user: { id: 'ada' } } });
  markers.note('link token', owner, link.url.split('/').at(-1));
  const given = { access_token: markers.make('access token', owner), refresh_token: markers.make('refresh token', owner) };
  const { id } = await inside.call<Named>('POST', '/v1/connections', { body: { integration: owner, end_user: { id: 'i' }, import: given } });
  await inside.call('PATCH', `/v1/connections/${id}`, { body: { metadata: { seen: 'yes' } } });
  await inside.call('DELETE', `/v1/connections/${id}`);
  // Its registration is needed until the provider has been told.
  const gone = (path: string) =>
    until(
      () => inside.call('DELETE', path).then(String, (error: { code: string }) => error.code),
      (seen) => seen !== 'conflict',
    );
  await gone(`/v1/integrations/${owner}`);
  await inside.call('DELETE', `/v1/providers/${owner}`);
  // Its own data key goes with it.
  await noteDataKeys(stage);
  await root.call('DELETE', `/v1/projects/${owner}`);
}

async function mendEndpoints({ root, talker, markers }: Stage): Promise<void> {
  const body = { url: `${talker.url}/hooks/in` };
  const { id, secret } = await root.call<Named & { secret: string }>('POST', '/v1/webhook-endpoints', { body });
  markers.note('webhook secret', 'hooks', secret.replace('whsec_', ''));
  await root.call('PATCH', `/v1/webhook-endpoints/${id}`, { body: { description: 'Mended' } });
  await root.call('GET', `/v1/webhook-endpoints/${id}`);
  await root.call('DELETE', `/v1/webhook-endpoints/${id}`);
  const { data } = await root.call<{ data: Named[] }>('GET', '/v1/webhook-deliveries', { query: { status: 'delivered' } });
  await root.call('POST', `/v1/webhook-deliveries/${data[0]?.id}/redeliver`);
}

/** While the key service is away or talks nonsense, a project that is new to the process, and has its own key there, cannot be sealed for. */
async function loseKeyService({ root, recorder, talker, env, kms, markers }: Stage): Promise<void> {
  await root.call('POST', '/v1/projects', { body: { id: 'sealed', name: 'Sealed', return_urls: [] } });
  const inside = createGrantryClient({ baseUrl: recorder.url, apiKey: env.GRANTRY_ROOT_KEY ?? '', project: 'sealed' });
  for (const fault of [{ kind: 'down' }, { kind: 'garbage' }, { kind: 'refuse', error: 'forbidden', status: 403 }] as const) {
    kms.switches.fault = fault;
    const client_secret = markers.make('client secret', 'sealed', 'odd');
    const code = await inside
      .call('POST', '/v1/integrations', { body: { id: 'sealed', provider: 'github', client_id: 'x', client_secret } })
      .then(String, (error: { code: string }) => error.code);
    if (code !== 'unavailable') throw new Error(`Without a key service: ${code}.`);
    await root.call('GET', '/v1/encryption');
  }
  kms.switches.fault = { kind: 'none' };
  // Its own key wraps from now on.
  const { secret } = await inside.call<{ secret: string }>('POST', '/v1/webhook-endpoints', { body: { url: `${talker.url}/hooks/in` } });
  markers.note('webhook secret', 'hooks', secret.replace('whsec_', ''));
}

export async function playAdministration(stage: Stage): Promise<void> {
  const { root } = stage;
  await Promise.all([rotateApiKey(stage), endProject(stage), mendEndpoints(stage)]);
  await loseKeyService(stage);
  for (const path of ['/v1/audit', '/v1/audit/head', '/v1/integrations', '/v1/connections', '/v1/webhook-endpoints']) await root.call('GET', path);
}
