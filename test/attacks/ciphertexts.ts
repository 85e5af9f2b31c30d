import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf, type Stage } from './stage.ts';

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
];
