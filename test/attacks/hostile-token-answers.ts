import { createBrowser } from '../../src/sandbox/browser.ts';
import { hostileAnswers } from '../../src/sandbox/hostile-answers.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/** Hostile token answers: what an evil provider answers with. */

/** True when the answer was taken for a credential. */
async function connectsWith(stage: Stage, answer: string): Promise<boolean> {
  stage.mislead((state) => `${redirectUri}?code=made-up-${stage.fresh('code')}&state=${state}`);
  stage.answerTokens(answer);
  const { redirect_uri: redirectUri } = await stage.root.call<{ redirect_uri: string }>('GET', '/v1/integrations/evil');
  const link = await stage.linkTo('evil', { end_user: { id: stage.fresh('victim') } });
  const browser = createBrowser();
  await stage.visit(await stage.walk(link, browser), browser);
  return (await stage.stateOf(link)).status === 'connected';
}

const answerOf = (members: object) => JSON.stringify({ token_type: 'Bearer', ...members });

/** These keep the broker waiting until its deadline: they are tried elsewhere. */
const slow = new Set(['never ending', 'one byte per second', 'headers and no body', 'no answer at all']);
const shapes = Object.entries(hostileAnswers).filter(([name]) => !slow.has(name));
/** A lifetime of nonsense and an empty refresh token do not take away the access token. */
const harmless = new Set(['expires_in negative', 'expires_in zero', 'expires_in 1e20', 'refresh_token empty']);

/** The shapes that were taken for a credential. */
async function takenShapes(stage: Stage): Promise<string[]> {
  const id = stage.fresh('hostile');
  const methods = { app: { grant: 'client_credentials', token_endpoint: `${stage.evil.url}/token` } };
  await stage.define(JSON.stringify({ id, name: 'Hostile', methods }));
  await stage.root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', client_secret: 'secret' } });
  const taken: string[] = [];
  for (const [name, answer] of shapes) {
    stage.answerTokens(answer);
    const body = { integration: id, end_user: { id: 'u1' }, grant: 'client_credentials' };
    await stage.root.call('POST', '/v1/connections', { body }).then(
      () => taken.push(name),
      () => {},
    );
  }
  if ((await stage.visit(`${stage.url}/healthz`)).status !== 200) throw new Error('The broker does not answer any more.');
  return taken.filter((name) => !harmless.has(name));
}

export const hostileTokenAnswers: Attack[] = [
  {
    name: `hostile answers: ${shapes.length} shapes that no token endpoint should give`,
    falls: [['token text'], ['token type'], ['lifetime that makes sense']],
    async run(stage) {
      const taken = await takenShapes(stage);
      return taken.length > 0 ? succeeded(`taken for credentials: ${taken.join(', ')}`) : stopped('none is taken for a credential');
    },
  },
  {
    name: 'hostile answer: a token that would end a header and begin another',
    falls: [['token text']],
    async run(stage) {
      const taken = await connectsWith(stage, answerOf({ access_token: 'evil\r\nX-Admin: yes' }));
      return taken ? succeeded('it was kept as a token') : stopped('it is no token');
    },
  },
  {
    name: 'hostile answer: a megabyte',
    falls: [['answer size']],
    async run(stage) {
      const taken = await connectsWith(stage, answerOf({ access_token: 'evil', more: 'x'.repeat(2 ** 20) }));
      return taken ? succeeded('all of it was read') : stopped('it was not read to its end');
    },
  },
];
