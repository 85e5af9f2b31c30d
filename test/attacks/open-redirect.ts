import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import { returnUrl } from './stage.ts';

/** Open redirect: a link that would send its browser elsewhere than the project has registered. */

const { host } = new URL(returnUrl);
const elsewhere = [
  'https://evil.com/',
  '//evil.com/',
  'https:evil.com',
  `https://${host}@evil.com/`,
  `https://${host}.evil.com/connected`,
  `https://${host}\\@evil.com/connected`,
  `https://evil.com/#${returnUrl}`,
  `https://evil.com/?${returnUrl}`,
  `https://${host}:8443/connected`,
  `https://${host}./connected`,
  `https://${host.toUpperCase()}/connected`,
  `http://${host}/connected`,
  `${returnUrl}/`,
  `${returnUrl}/../evil`,
  `${returnUrl}%2f..%2fevil`,
  `${returnUrl}?next=https://evil.com`,
  `${returnUrl}#evil`,
  `${returnUrl}.evil`,
  `${returnUrl}\r\nLocation: https://evil.com`,
  `${returnUrl}\t`,
  ` ${returnUrl}`,
  'javascript:alert(1)',
  'data:text/html,evil',
  '/\\evil.com',
];

export const openRedirect: Attack[] = [
  {
    name: `open redirect: ${elsewhere.length} addresses that are nearly a registered one`,
    falls: [['return URL exact']],
    async run(stage) {
      const reached: string[] = [];
      for (const return_url of elsewhere) {
        const link = await stage.linkTo('own', { return_url }).catch(() => undefined);
        if (link === undefined) continue;
        const browser = createBrowser();
        const begun = new URL(await stage.begin(link, browser));
        const callback = new URL(begun.searchParams.get('redirect_uri') ?? '');
        const iss = stage.providers.authorizationServer.issuer;
        callback.search = new URLSearchParams({ error: 'access_denied', state: begun.searchParams.get('state') ?? '', iss }).toString();
        const { location } = await stage.visit(callback, browser);
        if (location.startsWith(return_url)) reached.push(return_url);
      }
      return reached.length > 0 ? succeeded(`sent to ${reached.join(' ')}`) : stopped('none was taken');
    },
  },
];
