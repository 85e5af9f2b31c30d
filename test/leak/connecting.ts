import { type Browser, createBrowser, type Page } from '../../src/sandbox/browser.ts';
import type { Stage } from './stage.ts';

/** An end user's way through a link, in the sandbox's browser; every secret that comes by is noted. */

export type Walked = { link: { id: string; url: string }; browser: Browser; page: Page };
type Wish = { fields?: Record<string, string>; link?: Record<string, unknown>; test?: boolean };

const csrfOf = (page: Page) => /name="csrf-token" value="([^"]+)"/.exec(page.html)?.[1];

async function note({ markers, recorder }: Stage, owner: string, browser: Browser, page: Page): Promise<void> {
  const { grantry } = await browser.cookies.cookiesFor(recorder.url);
  markers.note('flow cookie', owner, grantry);
  const token = csrfOf(page);
  if (token !== undefined) markers.note('form token', owner, token);
}

/** Nobody is sent back: the provider shows a code, which is typed in here. */
async function outOfBand(stage: Stage, browser: Browser, page: Page): Promise<Page> {
  await note(stage, 'oob', browser, page);
  const [, verifier = ''] = /<code>(.+)<\/code>/.exec((await page.follow('Open')).html) ?? [];
  return page.submit({ verifier });
}

/** Opens a link and does what is asked, up to the last page. */
export async function walk(stage: Stage, owner: string, { fields = {}, link: more = {}, test = false }: Wish = {}): Promise<Walked> {
  const { root, markers } = stage;
  const body = { end_user: { id: `ada-${owner}`, display_name: 'Ada' }, metadata: { note: 'kept' }, ...more };
  const link = test
    ? await root.call<{ id: string; url: string; trace: string }>('POST', `/v1/integrations/${owner}/test`, { body: {} })
    : await root.call<{ id: string; url: string }>('POST', '/v1/connect-links', { body: { integration: owner, ...body } });
  markers.note('link token', owner, link.url.split('/').at(-1));
  const browser = createBrowser();
  const first = await browser.open(link.url);
  await note(stage, owner, browser, first);
  let page = await first.submit(fields);
  if (owner === 'posted') page = await page.submit();
  if (owner === 'oob') page = await outOfBand(stage, browser, page);
  if (page.html.includes('value="confirm"')) {
    await note(stage, owner, browser, page);
    page = await page.submit({}, 'confirm');
  }
  return { link, browser, page };
}

/** The connection that came of it; throws what went wrong. */
export async function connectionOf({ root }: Stage, { link }: Walked): Promise<string> {
  const { connection_id, status, error } = await root.call<{ connection_id: string | null; status: string; error: unknown }>(
    'GET',
    `/v1/connect-links/${link.id}`,
  );
  if (connection_id === null) throw new Error(`The link ${link.id} is ${status}: ${JSON.stringify(error)}`);
  return connection_id;
}

export async function connect(stage: Stage, owner: string, wish: Wish = {}): Promise<string> {
  return connectionOf(stage, await walk(stage, owner, wish));
}
