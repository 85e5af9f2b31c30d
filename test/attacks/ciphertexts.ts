import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf, type Stage } from './stage.ts';
import { freshProjects, type Party } from './two-projects.ts';

/** Whoever can write to the database, and has no key, moves ciphertexts about. */

/** An integration of its own: what was sealed before a defence went does not open after it. */
async function newIntegration(stage: Stage): Promise<string> {
  const id = stage.fresh('sealed');
  await stage.integrate(stage.providers.authorizationServer, { id, provider: 'sandbox-as' });
  return id;
}

async function connected(stage: Stage, integration: string, who: string): Promise<{ id: string; token: string }> {
  const { callback, browser, link } = await flowOf(stage, integration, who);
  await stage.visit(callback, browser);
  const id = await stage.connectionOf(link);
  return { id, token: (await stage.root.getToken(id)).access_token ?? '' };
}

const tokenOf = (stage: Stage, id: string) =>
  stage.root.getToken(id).then(
    ({ access_token }) => access_token,
    () => undefined,
  );

type Made = { id: string };

/** A connection of the project with this token, at an integration whose provider is evil. */
async function importInto(party: Party, stage: Stage, integration: string, tokens: Record<string, string>): Promise<string> {
  const body = { integration, end_user: { id: 'u1' }, import: tokens };
  return (await stage.admin(party.project).call<Made>('POST', '/v1/connections', { body })).id;
}

/** An integration of its own at a provider whose token endpoint is the evil one. */
async function atEvil(stage: Stage, { project }: Pick<Party, 'project'>, fields: Record<string, unknown> = {}): Promise<string> {
  const id = stage.fresh('at-evil');
  const token_endpoint = `${stage.evil.url}/token`;
  const methods = {
    web: { grant: 'authorization_code', authorization_endpoint: `${stage.evil.url}/authorize`, token_endpoint },
    app: { grant: 'client_credentials', token_endpoint, token_endpoint_auth_method: 'client_secret_post' },
  };
  await stage.define(JSON.stringify({ id, name: 'At evil', methods }), project);
  await stage
    .admin(project)
    .call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', client_secret: 'the-secret', ...fields } });
  return id;
}

export const ciphertexts: Attack[] = [
  {
    name: "ciphertext swap: the victim's credential in the attacker's row",
    falls: [['sealed to its place']],
    async run(stage) {
      const integration = await newIntegration(stage);
      const victim = await connected(stage, integration, stage.fresh('victim'));
      const attacker = await connected(stage, integration, stage.fresh('attacker'));
      await stage.sql('update connections set credential_sealed = (select credential_sealed from connections where id = $1) where id = $2', [
        victim.id,
        attacker.id,
      ]);
      return (await tokenOf(stage, attacker.id)) === victim.token
        ? succeeded("the attacker was given the victim's token")
        : stopped('it does not open');
    },
  },
  {
    name: 'ciphertext rollback: an old credential under a newer version',
    falls: [['sealed to its place']],
    async run(stage) {
      const { id, token } = await connected(stage, await newIntegration(stage), stage.fresh('victim'));
      await stage.sql('update connections set token_version = token_version + 1 where id = $1', [id]);
      return (await tokenOf(stage, id)) === token ? succeeded('the old credential was given out') : stopped('it does not open');
    },
  },
  {
    name: "ciphertext swap: a credential of another project in the attacker's row",
    falls: [['sealed to its place', 'data key of the project']],
    async run(stage) {
      const { owner, stranger } = await freshProjects(stage);
      const secret = stage.fresh('token-of-the-owner');
      const theirs = await importInto(owner, stage, await atEvil(stage, owner), { access_token: secret });
      const own = await importInto(stranger, stage, await atEvil(stage, stranger), { access_token: 'own' });
      await stage.sql('update connections set credential_sealed = (select credential_sealed from connections where id = $1) where id = $2', [
        theirs,
        own,
      ]);
      const token = await stage
        .admin(stranger.project)
        .getToken(own)
        .catch(() => undefined);
      return token?.access_token === secret ? succeeded('the attacker was given the token of another project') : stopped('it does not open');
    },
  },
  {
    name: 'ciphertext swap: the private key in the column of the client secret, which is sent to the provider',
    falls: [['sealed to its place']],
    async run(stage) {
      const { stranger } = await freshProjects(stage);
      const id = await atEvil(stage, stranger, { method: 'app', private_key_jwk: { kty: 'OKP', crv: 'Ed25519', d: 'the-private-part', x: 'x' } });
      await stage.sql('update integrations set client_secret_sealed = private_key_sealed where project_id = $1 and id = $2', [stranger.project, id]);
      stage.mislead(() => '');
      const body = { integration: id, end_user: { id: 'u1' }, grant: 'client_credentials' };
      await stage
        .admin(stranger.project)
        .call('POST', '/v1/connections', { body })
        .catch(() => {});
      const sent = stage.captured.some((form) => form.get('client_secret')?.includes('the-private-part'));
      return sent ? succeeded('the private key was sent to the provider') : stopped('it does not open');
    },
  },
  {
    name: 'ciphertext rollback: the credential from before a refresh is put back',
    falls: [['sealed to its place']],
    async run(stage) {
      const { stranger } = await freshProjects(stage);
      const admin = stage.admin(stranger.project);
      const id = await importInto(stranger, stage, await atEvil(stage, stranger), { access_token: 'before', refresh_token: 'rt' });
      const [old] = await stage.sql<{ credential_sealed: string }>('select credential_sealed from connections where id = $1', [id]);
      stage.mislead(() => '');
      await admin.call('POST', `/v1/connections/${id}/refresh`);
      await stage.sql('update connections set credential_sealed = $1 where id = $2', [old?.credential_sealed, id]);
      const token = await admin.getToken(id).catch(() => undefined);
      return token?.access_token === 'before' ? succeeded('the old token was given out') : stopped('it does not open');
    },
  },
];
