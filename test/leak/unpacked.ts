import { brotliDecompressSync, constants, inflateRawSync, inflateSync } from 'node:zlib';

/** What else a text holds when it is read as something that was packed: compressed, or encoded several times over. */

const mostBytes = 32 * 1024 * 1024;

function attempt(read: () => Buffer): Buffer[] {
  try {
    return [read()];
  } catch {
    return [];
  }
}

/** Where the data of a gzip member begin (RFC 1952 section 2.3). Node's own gunzip refuses what stands behind a member. */
function afterHeader(gzip: Buffer): number {
  const flags = gzip[3] ?? 0;
  let at = 10;
  if (flags & 4) at += 2 + gzip.readUInt16LE(at);
  for (const named of [8, 16]) if (flags & named) at = gzip.indexOf(0, at) + 1;
  return flags & 2 ? at + 2 : at;
}

/** Everything that begins like gzip or zlib, wherever it stands. Brotli has no beginning: only a whole text is tried. */
function inflated(bytes: Buffer): Buffer[] {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: mostBytes };
  const found = attempt(() => brotliDecompressSync(bytes, { maxOutputLength: mostBytes }));
  for (let at = bytes.indexOf(0x1f); at >= 0; at = bytes.indexOf(0x1f, at + 1))
    if (bytes[at + 1] === 0x8b && bytes[at + 2] === 8)
      found.push(...attempt(() => inflateRawSync(bytes.subarray(at + afterHeader(bytes.subarray(at))), options)));
  for (let at = bytes.indexOf(0x78); at >= 0; at = bytes.indexOf(0x78, at + 1))
    if ([0x01, 0x5e, 0x9c, 0xda].includes(bytes[at + 1] ?? 0)) found.push(...attempt(() => inflateSync(bytes.subarray(at), options)));
  return found;
}

/** Runs of an alphabet, decoded from each place where the text may begin. */
function decodedRuns(text: string, alphabet: RegExp, decode: (run: string) => Buffer, starts: number): Buffer[] {
  const runs = text.match(alphabet) ?? [];
  return Array.from({ length: starts }, (_, start) => Buffer.concat(runs.flatMap((run) => [decode(run.slice(start)), Buffer.from('\n')])));
}

const code = (hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
/** A text within a text within a text is escaped as often. */
function unescaped(text: string, times = 4): string {
  const once = text.replace(/\\(?:(?:u00|x)([0-9A-Fa-f]{2})|(["'\\/]))/g, (_, hex: string | undefined, plain: string) => (hex ? code(hex) : plain));
  return once === text || times === 1 ? once : unescaped(once, times - 1);
}
const unpercented = (text: string): string => text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => code(hex));

/** The bytes, and what they become when they are unpacked up to `depth` times. */
export function* unpacked(bytes: Buffer, depth: number): Generator<Buffer> {
  yield bytes;
  if (depth === 0 || bytes.length === 0) return;
  const text = bytes.toString('latin1');
  const plain = [unescaped(text), unpercented(text)].filter((other) => other !== text).map((other) => Buffer.from(other, 'latin1'));
  const found = [
    ...inflated(bytes),
    ...decodedRuns(text, /[A-Za-z0-9+/_-]{24,}/g, (run) => Buffer.from(run, 'base64'), 4),
    ...decodedRuns(text, /[0-9A-Fa-f]{32,}/g, (run) => Buffer.from(run.slice(0, run.length - (run.length % 2)), 'hex'), 2),
    ...plain,
  ];
  for (const other of found) yield* unpacked(other, depth - 1);
}
