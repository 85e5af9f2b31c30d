import { randomBytes } from 'node:crypto';

/** The secrets of a run: some are chosen here, some are made by the broker and noted as they come by. */

export const kinds = [
  'client secret',
  'private key',
  'client assertion',
  'authorization header',
  'code',
  'state',
  'verifier',
  'access token',
  'refresh token',
  'id token',
  'callback signature',
  'temporary token',
  'temporary secret',
  'oauth token',
  'oauth token secret',
  'oauth verifier',
  'end user secret',
  'input secret',
  'first token',
  'link token',
  'flow cookie',
  'form token',
  'nonce',
  'api key',
  'root key',
  'wrong key',
  'webhook secret',
  'master key',
  'data key',
  'key service credential',
  'database password',
  'redis password',
  'collector header',
  'misplaced secret',
  'crash message',
] as const;
export type Kind = (typeof kinds)[number];
export type Marker = { name: string; kind: Kind /** Whose it is: a provider gets no others. */; owner: string; text: string };

/** Letters and digits; with what encodings write otherwise; with what is not ASCII. */
const shapes = { plain: '', ascii: '&/+="<%~', odd: '&/+="<%~é' };
type Shape = keyof typeof shapes;

export type Markers = {
  /** A new secret. */
  make(kind: Kind, owner: string, shape?: Shape): string;
  /** One that somebody else made. The same text is noted once. */
  note(kind: Kind, owner: string, text: string | null | undefined): void;
  all(): Marker[];
};

export function createMarkers(): Markers {
  const byText = new Map<string, Marker>();
  const counts = new Map<string, number>();
  function add(kind: Kind, owner: string, text: string): string {
    if (byText.has(text)) return text;
    const number = (counts.get(`${kind} ${owner}`) ?? 0) + 1;
    counts.set(`${kind} ${owner}`, number);
    byText.set(text, { name: `${kind} of ${owner} (${number})`, kind, owner, text });
    return text;
  }
  return {
    make: (kind, owner, shape = 'plain') => add(kind, owner, `${randomBytes(18).toString('base64url').replace(/[-_]/g, 'x')}${shapes[shape]}`),
    note(kind, owner, text) {
      if (!text) throw new Error(`There is no ${kind} of ${owner} to look for.`);
      add(kind, owner, text);
    },
    all: () => [...byText.values()],
  };
}
