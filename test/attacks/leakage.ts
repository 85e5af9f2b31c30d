import { type Attack, stopped, succeeded } from './attack.ts';
import { flowOf, returnUrl } from './stage.ts';

/** Leakage: whoever reads the log, a cache, a history or a referrer looks for what opens something. What is left elsewhere is in test/leak/leak.test.ts and test/flows/tests-leak.test.ts. */

export const leakage: Attack[] = [
  {
    name: 'leakage: the code, the state and the token of the link in the log',
    falls: [['log without addresses']],
    async run(stage) {
      const from = stage.logged.length;
      const { callback, browser, link } = await flowOf(stage, 'own', stage.fresh('victim'));
      await stage.visit(callback, browser);
      const written = stage.logged.slice(from).join('\n');
      if (written === '') throw new Error('Nothing was logged.');
      const secrets = {
        code: callback.searchParams.get('code'),
        state: callback.searchParams.get('state'),
        link: new URL(link.url).pathname.split('/').at(-1),
      };
      const found = Object.entries(secrets).filter(([, secret]) => written.includes(secret ?? ' '));
      return found.length > 0 ? succeeded(`in the log: ${found.map(([name]) => name).join(', ')}`) : stopped('none of them is in the log');
    },
  },
  {
    name: 'leakage: the address of a link or of a callback as the referrer of what comes after it',
    falls: [
      ['no referrer from anything', 'no referrer from pages'],
      ['no referrer from anything', 'no referrer from redirects'],
    ],
    async run(stage) {
      const { callback, browser, link } = await flowOf(stage, 'own', stage.fresh('victim'), { return_url: returnUrl });
      const answers = { page: await stage.visit(link.url, browser), callback: await stage.visit(callback, browser) };
      if (!answers.callback.location.startsWith(returnUrl)) throw new Error('The browser was not sent on.');
      const silent = ([, { headers }]: [string, { headers: Headers }]) => headers.get('referrer-policy') === 'no-referrer';
      const telling = Object.entries(answers).filter((answer) => !silent(answer));
      return telling.length > 0 ? succeeded(`told by ${telling.map(([name]) => name).join(', ')}`) : stopped('neither tells it');
    },
  },
  {
    name: 'leakage: a page or a token in a cache',
    falls: [['pages not stored'], ['answers not stored']],
    async run(stage) {
      const { callback, browser, link } = await flowOf(stage, 'own', stage.fresh('victim'));
      const page = await stage.visit(link.url, browser);
      await stage.visit(callback, browser);
      const id = await stage.connectionOf(link);
      const token = await stage.visit(`${stage.url}/v1/connections/${id}/token`, undefined, {
        headers: { authorization: `Bearer ${stage.broker.rootKey}` },
      });
      if (token.status !== 200) throw new Error('There was no token.');
      const kept = Object.entries({ page, token }).filter(([, { headers }]) => headers.get('cache-control') !== 'no-store');
      return kept.length > 0 ? succeeded(`kept: ${kept.map(([name]) => name).join(', ')}`) : stopped('neither may be kept');
    },
  },
  {
    name: 'leakage: the code and the state in the history of the browser',
    falls: [['clean address']],
    async run(stage) {
      const { callback, browser } = await flowOf(stage, 'own', stage.fresh('victim'));
      const { status, location } = await stage.visit(callback, browser);
      if (status !== 303) throw new Error('The browser stayed where it was.');
      const named = ['code', 'state'].filter((name) => location.includes(callback.searchParams.get(name) ?? ' '));
      return named.length > 0 ? succeeded(`in the last address: ${named.join(', ')}`) : stopped('the last address holds neither');
    },
  },
];
