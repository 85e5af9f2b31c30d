/** In how many ways a secret may have been written down: how to write it so, and what to look for. */

type Encoding = {
  /** The text in this encoding, among others. */
  write(text: string): Buffer;
  /** What stands there of the text whatever its neighbours are. */
  needles(text: string): Buffer[];
};

const bytes = (texts: readonly string[]) => texts.map((text) => Buffer.from(text));
const escaped = (text: string, one: (code: string) => string) =>
  [...Buffer.from(text)].map((byte) => one(byte.toString(16).padStart(2, '0'))).join('');

/** Each three bytes are four characters: what a text becomes depends on where it begins, and its ends on the neighbours. */
function aligned(text: string, encoding: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((before) => {
    const written = Buffer.from('x'.repeat(before) + text)
      .toString(encoding)
      .replace(/=+$/, '');
    const behind = (before + Buffer.byteLength(text)) % 3 === 0 ? 0 : 1;
    return written.slice(Math.ceil((before * 8) / 6), written.length - behind);
  });
}

const reversed = (text: string) => [...text].reverse().join('');
const html = (text: string, quote: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", quote);
const percent = (text: string) => encodeURIComponent(text);
const lowered = (text: string) => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
const form = (text: string) => new URLSearchParams([['', text]]).toString().slice(1);
const json = (text: string) => JSON.stringify(text).slice(1, -1);
const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16();

export const encodings: Readonly<Record<string, Encoding>> = {
  raw: { write: (text) => Buffer.from(text), needles: (text) => bytes([text]) },
  base64: { write: (text) => Buffer.from(Buffer.from(`{"t":"${text}"}`).toString('base64')), needles: (text) => bytes(aligned(text, 'base64')) },
  base64url: {
    write: (text) => Buffer.from(Buffer.from(`{"at":"${text}"}`).toString('base64url')),
    needles: (text) => bytes(aligned(text, 'base64url')),
  },
  hex: {
    write: (text) => Buffer.from(Buffer.from(text).toString('hex')),
    needles: (text) => bytes([Buffer.from(text).toString('hex'), Buffer.from(text).toString('hex').toUpperCase()]),
  },
  percent: {
    write: (text) => Buffer.from(`x=${percent(text)}&`),
    needles: (text) =>
      bytes([
        percent(text),
        lowered(percent(text)),
        percent(percent(text)),
        form(text),
        lowered(form(text)),
        escaped(text, (code) => `%${code}`),
        escaped(text, (code) => `%${code.toUpperCase()}`),
      ]),
  },
  json: {
    write: (text) => Buffer.from(JSON.stringify({ text: JSON.stringify(text) })),
    needles: (text) =>
      bytes([
        json(text),
        json(json(text)),
        json(text).replaceAll('/', '\\/'),
        escaped(text, (code) => `\\u00${code}`),
        escaped(text, (code) => `\\x${code}`),
      ]),
  },
  html: { write: (text) => Buffer.from(html(text, '&#39;')), needles: (text) => bytes([html(text, '&#39;'), html(text, '&apos;'), html(text, "'")]) },
  reversed: { write: (text) => Buffer.from(reversed(text)), needles: (text) => bytes([reversed(text)]) },
  utf16: { write: (text) => Buffer.from(text, 'utf16le'), needles: (text) => [Buffer.from(text, 'utf16le'), swapped(text)] },
};
