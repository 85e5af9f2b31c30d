import { mayReturnTo, returnUrlFault, withOutcome } from '../../../src/broker/return-urls.ts';
import { must, type Property } from '../property.ts';
import { askedOf } from '../return-urls.ts';

/** One of our own machine, letter by letter, with nothing in it that two readers could read differently. */
const loopback = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?:[/?][!-"$-[\]-~]*)?$/;

/** RFC 3986, appendix B. */
const generic = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

const sameBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a, 'utf16le'), Buffer.from(b, 'utf16le')) === 0;

/** What is accepted is one of the registered, byte by byte, and leads nowhere else, whoever reads it. */
export const returnUrls: Property = {
  name: 'return URLs',
  runs: 50_000,
  reaches: { accepted: 0.07, 'accepted: loopback': 0.001, refused: 0.4 },
  async prepare() {
    return {
      shown: askedOf,
      check(draft, count) {
        const { publicUrl, registered, url, isPlain } = askedOf(draft);
        const accepted = mayReturnTo({ publicUrl, registered, url });
        const fault = returnUrlFault(publicUrl, url);
        if (!accepted) {
          must(!isPlain || fault !== undefined, 'a registered URL was refused');
          must(
            !registered.some((each) => sameBytes(each, url)) || fault !== undefined,
            'a registered URL was refused, and nothing is said against it',
          );
          return count('refused');
        }
        const isLoopback = publicUrl.startsWith('http:') && loopback.test(url);
        must(isLoopback || registered.some((each) => sameBytes(each, url)), 'a URL was accepted that nobody registered');
        must(fault === undefined, 'a URL was accepted that could not be registered');
        const [, scheme, authority = '', path, , fragment] = generic.exec(url) ?? [];
        must(scheme === 'https' || (isLoopback && scheme === 'http'), 'neither https nor our own machine');
        must(!authority.includes('@') && fragment === undefined, 'a user name or a fragment');
        const sent = new URL(withOutcome(url, { status: 'failed', error: 'a b\r\n&c' }));
        must(sent.host === authority && (sent.pathname === path || (path === '' && sent.pathname === '/')), 'the outcome leads elsewhere');
        must(/^[!-~]+$/.test(withOutcome(url, { status: 'failed', error: 'a b\r\n&c' })), 'not to be put into a header');
        count(isLoopback ? 'accepted: loopback' : 'accepted');
      },
    };
  },
};
