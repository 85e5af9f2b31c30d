import { createBrowser } from '../../src/sandbox/browser.ts';
import { payloads as all } from '../web/pages/payloads.ts';
import { structure } from '../web/pages/tree.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/** XSS: what others wrote, on every hosted page that shows it. All payloads in all fields of all pages are in test/web/pages/escaping.test.ts. */

const script = '<script>window.owned=1</script>';
/** Some of each kind, and what the API takes as a name. */
const payloads = [script, ...all.filter((text, index) => index % 11 === 0 && !/[\p{Cc}\p{Cs}]/u.test(text) && text.trim() !== '')];

/** A project, a provider, an integration and a link in which every text is this one; the addresses of the pages that show them. */
async function pagesWith(stage: Stage, text: string): Promise<{ connect: string; asking: string }> {
  const { project } = await placeOf(stage);
  const id = stage.fresh('shown');
  const admin = stage.admin(project);
  await stage.root.call('PATCH', `/v1/projects/${project}`, { body: { name: text } });
  const inputs = {
    typed: { label: text, description: text, example: text },
    chosen: { label: text, choices: { one: { label: text, sets: { region: 'one' } }, two: { label: text, sets: { region: 'two' } } } },
  };
  const endpoints = { authorization_endpoint: `${stage.evil.url}/authorize?x={typed}&y={region}`, token_endpoint: `${stage.evil.url}/token` };
  const web = { grant: 'authorization_code', ...endpoints };
  await stage.define(JSON.stringify({ id, name: text, inputs, methods: { web } }), project);
  await admin.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', client_secret: 'secret', scopes: [text] } });
  const link = await admin.createConnectLink({ integration: id, end_user: { id: 'u1', display_name: text } });
  return { connect: link.url, asking: `${stage.url}/oauth/callback?${new URLSearchParams({ error: text, error_description: text, state: text })}` };
}

const places = new WeakMap<Stage, Promise<{ project: string }>>();
function placeOf(stage: Stage): Promise<{ project: string }> {
  const project = stage.fresh('shown');
  const made = places.get(stage) ?? stage.root.call('POST', '/v1/projects', { body: { id: project, name: 'Shown' } }).then(() => ({ project }));
  places.set(stage, made);
  return made;
}

/** What the pages are made of: as it is opened, after an answer that is refused, and after a callback that nobody waits for. */
async function shapesOf(stage: Stage, text: string): Promise<string> {
  const { connect, asking } = await pagesWith(stage, text);
  const browser = createBrowser();
  const page = await browser.open(connect);
  const refused = await page.submit({ typed: '\u0007' }, undefined, { stopBefore: 'http://127.0.0.1' });
  const unknown = await stage.visit(asking);
  return [page.html, refused.html, unknown.body].map(structure).join('\n');
}

export const xss: Attack[] = [
  {
    name: `XSS: ${payloads.length} texts in every field that a page shows, read by an HTML parser`,
    falls: [['escaping']],
    async run(stage) {
      const plain = await shapesOf(stage, 'Ada Lovelace');
      const bent: string[] = [];
      for (const payload of payloads) {
        if ((await shapesOf(stage, payload)) !== plain) bent.push(payload);
        // One is enough.
        if (bent.length > 0) return succeeded(`became elements: ${bent[0]}`);
      }
      return stopped('the pages are built the same');
    },
  },
  {
    name: 'XSS in Chromium: a script in every field of the connect page',
    falls: [['escaping', 'scripts forbidden']],
    async run(stage) {
      const { connect } = await pagesWith(stage, script);
      const tab = await (await stage.chromium()).newPage();
      try {
        await tab.goto(connect);
        return (await tab.evaluate('window.owned')) === 1 ? succeeded('it ran') : stopped('it did not run');
      } finally {
        await tab.close();
      }
    },
  },
];
