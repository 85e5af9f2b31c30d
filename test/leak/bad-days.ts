import { connect, connectionOf, walk } from './connecting.ts';
import { integrate, unsound } from './definitions.ts';
import type { Stage } from './stage.ts';
import type { Manner } from './talker.ts';

/** What goes wrong at a provider that tells everything it was sent. */

/** At the token endpoint, before there is a connection. */
const atTheCode: Readonly<Record<string, [what: string, Manner]>> = {
  refuses: ['token', 'refuses'],
  'refuses-client': ['token', 'refuses the client'],
  'error-page': ['token', 'error page'],
  redirects: ['token', 'redirects'],
  cuts: ['token', 'cuts'],
  'odd-token': ['token', 'odd token'],
  denies: ['authorize', 'denies'],
  'oauth1-refuses': ['at', 'refuses'],
};
const atTheRefresh: Readonly<Record<string, Manner>> = {
  'refresh-refuses': 'refuses',
  'refresh-garbage': 'garbage',
  'refresh-error-page': 'error page',
};

async function failAtTheCode(stage: Stage, owner: string): Promise<void> {
  const [what, manner] = atTheCode[owner] ?? ['token', 'refuses'];
  stage.talker.answers(owner, what, manner);
  const walked = await walk(stage, owner, { link: { return_url: `${stage.talker.url}/return/site` } });
  const ended = await connectionOf(stage, walked).catch(() => 'failed');
  if (ended !== 'failed') throw new Error(`${owner} went well.`);
  if (owner !== 'refuses') return;
  const { link } = await walk(stage, owner, { test: true });
  await stage.root.call('GET', `/v1/integrations/${owner}/tests/${link.id}`);
}

/** Asked for by a caller, by the queue, and by a person. */
async function failAtTheRefresh(stage: Stage, owner: string): Promise<void> {
  const { root, talker, sql } = stage;
  const id = await connect(stage, owner);
  talker.answers(owner, 'token', atTheRefresh[owner] ?? 'refuses');
  talker.answers(owner, 'me', 'refuses the client');
  await root.call('POST', `/v1/connections/${id}/probe`).catch(() => {});
  await sql(
    `update connections set issued_at = now() - interval '1 hour', refresh_due_at = now() - interval '1 second', expires_at = now() - interval '1 second'
     where id = $1`,
    [id],
  );
  await root.getToken(id).then(
    () => Promise.reject(new Error(`${owner} went well.`)),
    () => undefined,
  );
  await root.call('POST', `/v1/connections/${id}/refresh`).catch(() => {});
  for (const path of ['', '/events']) await root.call('GET', `/v1/connections/${id}${path}`);
  await root.call('GET', `/v1/integrations/${owner}`);
  await root.call('DELETE', `/v1/connections/${id}`);
}

async function failAtTheEnd(stage: Stage): Promise<void> {
  const id = await connect(stage, 'revoke-fails');
  stage.talker.answers('revoke-fails', 'revoke', 'error page');
  await stage.root.call('DELETE', `/v1/connections/${id}`);
}

/** A key that its own probe refuses. */
async function failAtTheKey(stage: Stage): Promise<void> {
  const { markers, talker, root } = stage;
  talker.answers('keys-refused', 'me', 'refuses the client');
  const fields = { api_key: markers.make('end user secret', 'keys-refused') };
  await walk(stage, 'keys-refused', { fields });
  const body = { integration: 'keys-refused', end_user: { id: 'x' }, grant: 'api_key', inputs: fields };
  await root.call('POST', '/v1/connections', { body }).catch(() => {});
}

export async function playBadDays(stage: Stage): Promise<void> {
  for (const [owner, method] of Object.entries(unsound)) await integrate(stage, owner, method);
  await Promise.all([
    ...Object.keys(atTheCode).map((owner) => failAtTheCode(stage, owner)),
    ...Object.keys(atTheRefresh).map((owner) => failAtTheRefresh(stage, owner)),
    failAtTheEnd(stage),
    failAtTheKey(stage),
  ]);
}
