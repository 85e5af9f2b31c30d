import { CookieJar as ToughCookieJar } from 'tough-cookie';

/** A browser's cookies, with SameSite as browsers keep it. The one file that knows tough-cookie. */
export type CookieJar = {
  /** The Cookie header for a navigation to `url`; `strict`: same site, `lax`: a link from elsewhere, `none`: a form post from elsewhere. */
  headerFor(url: string, context: 'strict' | 'lax' | 'none'): Promise<string>;
  /** Takes the Set-Cookie headers of an answer; those that a browser would refuse are dropped. */
  keep(url: string, setCookie: readonly string[]): Promise<void>;
  /** The names and values that would go to `url`. */
  cookiesFor(url: string): Promise<Record<string, string>>;
};

export function createCookieJar(): CookieJar {
  const jar = new ToughCookieJar();
  return {
    async headerFor(url, sameSiteContext) {
      const cookies = await jar.getCookies(url, { sameSiteContext });
      // A cookie without SameSite counts as Lax in Chromium.
      const sent = cookies.filter((cookie) => sameSiteContext !== 'none' || cookie.sameSite === 'none');
      return sent.map((cookie) => cookie.cookieString()).join('; ');
    },
    async keep(url, setCookie) {
      for (const text of setCookie) await jar.setCookie(text, url, { ignoreError: true });
    },
    async cookiesFor(url) {
      return Object.fromEntries((await jar.getCookies(url)).map(({ key, value }) => [key, value]));
    },
  };
}
