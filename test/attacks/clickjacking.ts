import { type Attack, stopped, succeeded } from './attack.ts';

/** Clickjacking: a page of ours in a frame of somebody else's, under whose buttons ours lie. */

export const clickjacking: Attack[] = [
  {
    name: 'clickjacking in Chromium: the page of a link in a frame of somebody else',
    falls: [['frame-ancestors', 'X-Frame-Options']],
    async run(stage) {
      const { url } = await stage.linkTo('own', { end_user: { id: stage.fresh('victim') } });
      stage.serve('/frame', { headers: { 'content-type': 'text/html' }, body: `<iframe src="${url}"></iframe>` });
      const tab = await (await stage.chromium()).newPage();
      try {
        await tab.goto(`${stage.evil.url}/frame`);
        const [, frame] = tab.frames();
        const forms = await frame?.evaluate('document.forms.length').catch(() => 0);
        return forms === 1 ? succeeded('its button is there to be pressed') : stopped('the frame stays empty');
      } finally {
        await tab.close();
      }
    },
  },
];
