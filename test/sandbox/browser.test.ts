import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { readBody } from '../../src/sandbox/exchange.ts';
import { type Listener, listen } from '../../src/sandbox/listener.ts';

let listener: Listener;
let other: Listener;

const html = { 'content-type': 'text/html' };

/** A site that sets cookies of each kind and shows what arrives. */
beforeAll(async () => {
  listener = await listen();
  other = await listen();
  listener.handle(async (request, response) => {
    const url = new URL(request.url ?? '/', listener.url);
    const show = async () => {
      const { cookie = '', origin = '', 'sec-fetch-site': site = '' } = request.headers;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ method: request.method, target: request.url, cookie, origin, site, body: await readBody(request) }));
    };
    switch (url.pathname) {
      case '/set':
        response.writeHead(200, { 'set-cookie': ['strict=1; SameSite=Strict', 'lax=1; SameSite=Lax', 'plain=1', 'deep=1; Path=/deep'] }).end();
        return;
      case '/form':
        response.writeHead(200, { ...html, 'referrer-policy': url.searchParams.get('policy') ?? '' });
        response.end(`<title>A form</title><a href="/show?link">Go <b>there</b></a>
          <form action="/search"><input name="q" value="x"><button>Find</button></form>
          <form method="post" action="/show"><input type="hidden" name="a" value="1&amp;2"><input name="b"><input name="off" disabled>
          <input type="checkbox" name="c"><select name="s"><option>one<option selected value="2">two</select><textarea name="t">\nlines</textarea>
          <button name="go" value="yes">Send it</button><button name="go" value="no" formaction="/show?no">Do not</button></form>`);
        return;
      case '/loop':
        response.writeHead(302, { location: '/loop' }).end();
        return;
      case '/hop':
        response.writeHead(Number(url.searchParams.get('status')), { location: url.searchParams.get('to') ?? '' }).end();
        return;
      default:
        await show();
    }
  });
  other.handle((_, response) => {
    const target = listener.url.replace('127.0.0.1', 'localhost');
    response.writeHead(200, html).end(`<a href="${target}/show">link</a><form method="post" action="${target}/show"><button>post</button></form>`);
  });
});
afterAll(() => Promise.all([listener.stop(), other.stop()]));

const shown = (page: { text: string }): Record<string, string> => JSON.parse(page.text);

it('submits a form as a browser would, with the button that was pressed', async () => {
  const page = await createBrowser().open(`${listener.url}/form`);
  expect(page.title).toBe('A form');
  const sent = shown(await page.submit({ b: 'é &', c: 'on' }, 'Send it'));
  expect(sent.method).toBe('POST');
  expect([...new URLSearchParams(sent.body)]).toEqual([
    ['a', '1&2'],
    ['s', '2'],
    ['t', 'lines'],
    ['b', 'é &'],
    ['c', 'on'],
    ['go', 'yes'],
  ]);
  expect(shown(await page.submit({}, 'no'))).toMatchObject({ target: '/show?no' });
  expect(shown(await page.submit({ q: 'a b' }))).toMatchObject({ method: 'GET', target: '/search?q=a+b' });
  expect(shown(await page.follow('Go there'))).toMatchObject({ target: '/show?link' });
});

it('says so when a button, field or link is not there', async () => {
  const page = await createBrowser().open(`${listener.url}/form`);
  await expect(page.submit({}, 'Other')).rejects.toThrow('no button "Other"');
  await expect(page.submit({ z: '1' }, 'Send it')).rejects.toThrow('no field "z"');
  await expect(page.follow('Nowhere')).rejects.toThrow('no link "Nowhere"');
});

it('tells the origin of a post, unless the page asks for no referrer', async () => {
  const post = async (policy: string) => (await createBrowser().open(`${listener.url}/form?policy=${policy}`)).submit({}, 'Send it');
  expect(shown(await post(''))).toMatchObject({ origin: listener.url, site: 'same-origin' });
  expect(shown(await post('no-referrer'))).toMatchObject({ origin: 'null', site: 'same-origin' });
});

it('keeps cookies by path and SameSite, also across sites', async () => {
  const browser = createBrowser();
  const local = listener.url.replace('127.0.0.1', 'localhost');
  await browser.open(`${local}/set`);
  expect(shown(await browser.open(`${local}/show`)).cookie).toBe('strict=1; lax=1; plain=1');
  expect(shown(await browser.open(`${local}/deep/x`)).cookie).toContain('deep=1');
  const elsewhere = await browser.open(`${other.url}/`);
  expect(shown(await elsewhere.follow('link'))).toMatchObject({ cookie: 'lax=1; plain=1', site: 'cross-site' });
  expect(shown(await elsewhere.submit({}, 'post'))).toMatchObject({ cookie: '', site: 'cross-site' });
  expect(shown(await createBrowser().open(`${local}/show`)).cookie).toBe('');
  expect(await browser.cookies.cookiesFor(`${local}/`)).toMatchObject({ lax: '1' });
});

it('follows redirects, turns a post into a get where browsers do, and ends a loop', async () => {
  const browser = createBrowser();
  expect((await browser.open(`${listener.url}/hop?status=302&to=/show`)).url).toBe(`${listener.url}/show`);
  await expect(browser.open(`${listener.url}/loop`)).rejects.toThrow('Too many redirects');
});

it('stops before a redirect to the given prefix', async () => {
  const to = encodeURIComponent('http://localhost:1/callback?code=1');
  const stopped = await createBrowser({ stopBefore: 'http://localhost:1/' }).open(`${listener.url}/hop?status=303&to=${to}`);
  expect(stopped).toMatchObject({ status: 303, location: 'http://localhost:1/callback?code=1' });
  const once = await createBrowser().open(`${listener.url}/hop?status=303&to=${to}`, { stopBefore: 'http://localhost:1/call' });
  expect(once.location).toContain('code=1');
});
