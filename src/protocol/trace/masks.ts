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

/** The characters of a base64 text that depend on nothing but these bytes, wherever in the encoded bytes they begin. */
function base64Cores(value: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), value]);
    const [from, to] = [Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6)];
    return [bytes.toString('base64').slice(from, to), bytes.toString('base64url').slice(from, to)];
  });
}

function percentEncoded(value: string): string[] {
  const encoded = encodeURIComponent(value.replace(/\p{Surrogate}/gu, '\ufffd'));
  const strict = encoded.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return [encoded, strict].flatMap((text) => [text, text.replaceAll('%20', '+'), encodeURIComponent(text)]);
}

/** Each way in which a secret may stand in a text; all but base64 are compared without case. */
function formsOf(secret: string): { exact: string[]; anyCase: string[] } {
  const bytes = Buffer.from(secret, 'utf8');
  const json = JSON.stringify(secret).slice(1, -1);
  const ascii = json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const plain = [secret, json, ascii, json.replaceAll('/', '\\/'), ...percentEncoded(secret), bytes.toString('hex')];
  return { exact: base64Cores(bytes), anyCase: [...new Set(plain.map((text) => text.toLowerCase()))] };
}

export function createMasks(): Masks {
  const secrets = new Map<string, { label: string; forms: ReturnType<typeof formsOf> }>();
  const allowed = new Set<string>();
  const secretIn = (text: string): string | undefined => {
    const lower = text.toLowerCase();
    for (const [secret, { label, forms }] of secrets) {
      if (
        secret.length < leastInside
          ? text === secret
          : forms.exact.some((form) => text.includes(form)) || forms.anyCase.some((form) => lower.includes(form))
      )
        return label;
    }
    return undefined;
  };
  const hide = (text: string, label?: string) => (text === '' ? '' : `<${label ?? secretIn(text) ?? 'text'}: ${text.length} characters>`);
  return {
    learn(label, value) {
      if (value !== undefined && value !== '' && !secrets.has(value)) secrets.set(value, { label, forms: formsOf(value) });
    },
    allow: (text) => void allowed.add(text),
    isAllowed: (text) => allowed.has(text),
    secretIn,
    show: (text) => (allowed.has(text) && secretIn(text) === undefined ? text : hide(text)),
    hide,
  };
}
