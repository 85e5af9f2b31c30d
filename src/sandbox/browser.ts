import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type CookieJar, createCookieJar } from './cookie-jar.ts';
import { type Button, type HtmlForm, type HtmlPage, parseHtml } from './html-page.ts';

/** What a person sees after a navigation, and what she can do there. */
export type Page = {
  /** The address of this page; for a redirect that was not followed, the address that redirected. */
  url: string;
  status: number;
  /** Lower-case names; several values of one name joined by ", ". */
  headers: Readonly<Record<string, string>>;
  html: string;
  /** The visible text. */
  text: string;
  title: string;
  /** Where a redirect points that was not followed (`stopBefore`). */
  location: string | undefined;
  /**
   * Fills in a form and presses a button (how its text begins, its value or its name; by default the first one of the first form).
   * Throws when there is no such button or field.
   */
  submit(fields?: Readonly<Record<string, string>>, button?: string, visit?: Visit): Promise<Page>;
  /** Follows the first link whose text contains `linkText`. Throws when there is none. */
  follow(linkText: string, visit?: Visit): Promise<Page>;
};

export type Visit = {
  /** A redirect to an address that begins so is not followed. */
  stopBefore?: string;
};

export type Browser = { open(url: string, visit?: Visit): Promise<Page>; cookies: CookieJar };

type Navigation = { method: 'GET' | 'POST'; url: URL; body: string; from: { url: URL; referrerPolicy: string } | undefined };
type Answer = { status: number; headers: Readonly<Record<string, string>>; setCookie: string[]; body: string };

const maxRedirects = 20;
const maxBytes = 5 * 1024 * 1024;
const timeoutMs = 30_000;

/** Ports do not matter to what a site is; 127.0.0.1 and localhost are two sites. */
const sameSite = (a: URL, b: URL) => a.protocol === b.protocol && a.hostname === b.hostname;

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));
}

function exchange(url: URL, method: string, headers: Record<string, string>, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) response.destroy(new Error('The page is too large.'));
        chunks.push(chunk);
      });
      response.on('end', () => {
        const { statusCode: status = 0, headers: received } = response;
        resolve({ status, headers: flat(received), setCookie: received['set-cookie'] ?? [], body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** The Origin of a form post: none is told when the page says `no-referrer` (Fetch standard, "append a request Origin header"). */
function originOf({ from }: Navigation): string {
  if (from === undefined || from.referrerPolicy.includes('no-referrer')) return 'null';
  return from.url.origin;
}

/** A page without a policy tells its whole address, to everybody, as the oldest browsers do. */
const refererOf = (policy: string, { from }: Navigation): Record<string, string> =>
  from === undefined || policy.includes('no-referrer') ? {} : { referer: from.url.href };

function findForm(page: HtmlPage, wanted: string | undefined): { form: HtmlForm; button: Button | undefined } {
  if (wanted === undefined) {
    const [form] = page.forms;
    if (form === undefined) throw new Error(`The page "${page.title}" has no form.`);
    return { form, button: form.buttons[0] };
  }
  const lower = wanted.toLowerCase();
  const matches = ({ text, value, name }: Button) =>
    text.toLowerCase().startsWith(lower) || [value, name].some((word) => word.toLowerCase() === lower);
  for (const form of page.forms) {
    const button = form.buttons.find(matches);
    if (button !== undefined) return { form, button };
  }
  throw new Error(`The page "${page.title}" has no button "${wanted}".`);
}

function filledIn({ fields, names }: HtmlForm, values: Readonly<Record<string, string>>, button: Button | undefined): URLSearchParams {
  const unknown = Object.keys(values).find((name) => !names.has(name));
  if (unknown !== undefined) throw new Error(`The form has no field "${unknown}".`);
  const kept = fields.filter(([name]) => !Object.hasOwn(values, name));
  const data = new URLSearchParams([...kept, ...Object.entries(values)].map(([name, value]): [string, string] => [name, value]));
  if (button !== undefined && button.name !== '') data.append(button.name, button.value);
  return data;
}

/**
 * A small HTTP client that behaves as a browser: cookies with SameSite, redirects, links and forms, Origin, Referer and Sec-Fetch-Site.
 * It runs no script and speaks plain http only: it is made for the sandbox and a broker on this machine.
 */
export function createBrowser({ cookies = createCookieJar(), stopBefore }: Visit & { cookies?: CookieJar } = {}): Browser {
  const isStop = (url: URL, visit: Visit) => [stopBefore, visit.stopBefore].some((prefix) => prefix !== undefined && url.href.startsWith(prefix));

  async function navigate(first: Navigation, visit: Visit): Promise<Page> {
    let { method, url, body } = first;
    let crossed = false;
    let policy = first.from?.referrerPolicy ?? '';
    for (let redirects = 0; ; redirects += 1) {
      crossed ||= first.from !== undefined && !sameSite(first.from.url, url);
      const context = !crossed ? 'strict' : method === 'GET' ? 'lax' : 'none';
      const cookie = await cookies.headerFor(url.href, context);
      const site = first.from === undefined ? 'none' : crossed ? 'cross-site' : first.from.url.origin === url.origin ? 'same-origin' : 'same-site';
      const headers = {
        accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
        'accept-language': 'en',
        'user-agent': 'Mozilla/5.0 (sandbox)',
        'sec-fetch-site': site,
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        ...refererOf(policy, first),
        ...(cookie === '' ? {} : { cookie }),
        ...(method === 'GET'
          ? {}
          : { origin: originOf(first), 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(body)) }),
      };
      const answer = await exchange(url, method, headers, body);
      await cookies.keep(url.href, answer.setCookie);

      const location = answer.headers['location'];
      if (location === undefined || ![301, 302, 303, 307, 308].includes(answer.status)) return pageOf(url, answer, undefined);
      const next = new URL(location, url);
      if (isStop(next, visit)) return pageOf(url, answer, next.href);
      if (redirects >= maxRedirects) throw new Error('Too many redirects.');
      if (![307, 308].includes(answer.status)) [method, body] = ['GET', ''];
      policy = answer.headers['referrer-policy'] ?? policy;
      // A chain that has left the site stays cross-site.
      crossed ||= first.from !== undefined && !sameSite(url, next);
      url = next;
    }
  }

  function pageOf(url: URL, { status, headers, body: html }: Answer, location: string | undefined): Page {
    const isHtml = headers['content-type']?.includes('html') === true;
    const parsed = parseHtml(isHtml ? html : '');
    const from = { url, referrerPolicy: headers['referrer-policy'] ?? '' };
    return {
      url: url.href,
      status,
      headers,
      html,
      text: isHtml ? parsed.text : html,
      title: parsed.title,
      location,
      async submit(fields = {}, button, visit = {}) {
        const { form, button: pressed } = findForm(parsed, button);
        const data = filledIn(form, fields, pressed);
        const target = new URL(pressed?.action ?? form.action, url);
        if (form.method === 'GET') target.search = data.toString();
        return navigate({ method: form.method, url: target, body: form.method === 'GET' ? '' : data.toString(), from }, visit);
      },
      async follow(linkText, visit = {}) {
        const link = parsed.links.find(({ text }) => text.includes(linkText));
        if (link === undefined) throw new Error(`The page "${parsed.title}" has no link "${linkText}".`);
        return navigate({ method: 'GET', url: new URL(link.href, url), body: '', from }, visit);
      },
    };
  }

  return {
    open: (url, visit = {}) => navigate({ method: 'GET', url: new URL(url), body: '', from: undefined }, visit),
    cookies,
  };
}
