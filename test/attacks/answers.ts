import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/** What an evil provider answers with. */

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

export const answers: Attack[] = [
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
  {
    name: 'SSRF by redirect: discovery is sent on to an address of the inside',
    falls: [['no redirects followed']],
    async run(stage) {
      const target = stage.fresh('/inside');
      stage.serve(target, { body: '{}' });
      for (const status of [301, 302, 303, 307, 308]) {
        const answer = { status, headers: { location: `${stage.evil.url}${target}` } };
        for (const name of ['oauth-authorization-server', 'openid-configuration']) stage.serve(`/.well-known/${name}`, answer);
        await stage.root.call('POST', '/v1/providers/discover', { body: { issuer: stage.evil.url } }).catch(() => {});
      }
      return stage.hits(target) > 0 ? succeeded(`${stage.hits(target)} requests arrived there`) : stopped('nothing arrived there');
    },
  },
];
