/**
 * What may be shown of a request or an answer. A value is shown only when it is known to be public and no known secret is in it, in
 * whichever encoding; everything else is a word in angle brackets with its length.
 */

export type Masks = {
  /** From now on this value is secret; `label` stands in its place. */
  learn(label: string, value: string | undefined): void;
  /** This text, as a whole, may be shown. */
  allow(text: string): void;
  isAllowed(text: string): boolean;
  /** The label of a secret that is in the text, in whichever encoding. */
  secretIn(text: string): string | undefined;
  /** The text when it may be shown, else what stands for it. */
  show(text: string): string;
  /** What stands for a text, whatever it is. */
  hide(text: string, label?: string): string;
};

/** A shorter secret is looked for as a whole only: it would be found in everything. */
const leastInside = 6;
/** A longer text is looked into by nobody, and so not shown. */
const longest = 4_000;

const unescapes: readonly ((text: string) => string)[] = [
  (text) => text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8')),
  (text) => text.replaceAll('+', ' '),
  (text) =>
    text.replace(/\\(?:u([0-9a-f]{4})|(.))/gis, (_, code: string | undefined, other: string) =>
      code === undefined ? other : String.fromCharCode(Number.parseInt(code, 16)),
    ),
];

/** A text, and what it says when percent-encoding, + for space and the escapes of JSON are undone, some of them twice. */
function unescaped(texts: Iterable<string>): Set<string> {
  const all = new Set(texts);
  for (let round = 0; round < 2; round += 1) for (const text of [...all]) for (const undo of unescapes) all.add(undo(text));
  return all;
}

/** What runs of base64 (of both alphabets, begun anywhere) and hex in a text may say. */
function* decoded(text: string): Generator<string> {
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{8,}/g))
    for (const before of [0, 1, 2, 3]) yield Buffer.from(run.slice(before), 'base64').toString('utf8');
  for (const [run] of text.matchAll(/[0-9a-f]{12,}/gi)) for (const before of [0, 1]) yield Buffer.from(run.slice(before), 'hex').toString('utf8');
}

/** All that a text may say, in small letters. */
function readings(text: string): string[] {
  const plain = unescaped([text]);
  return [...plain, ...unescaped([...plain].flatMap((one) => [...decoded(one)]))].map((one) => one.toLowerCase());
}

export function createMasks(): Masks {
  const secrets = new Map<string, string>();
  const allowed = new Set<string>();
  const secretIn = (text: string): string | undefined => {
    if (text.length > longest) return 'long text';
    const said = readings(text);
    for (const [secret, label] of secrets) {
      const sought = secret.toLowerCase();
      if (secret.length < leastInside ? text === secret : said.some((one) => one.includes(sought))) return label;
    }
    return undefined;
  };
  const hide = (text: string, label?: string) => (text === '' ? '' : `<${label ?? secretIn(text) ?? 'text'}: ${text.length} characters>`);
  return {
    learn(label, value) {
      if (value !== undefined && value !== '' && !secrets.has(value)) secrets.set(value, label);
    },
    allow: (text) => void allowed.add(text),
    isAllowed: (text) => allowed.has(text),
    secretIn,
    show: (text) => (allowed.has(text) && secretIn(text) === undefined ? text : hide(text)),
    hide,
  };
}
