import { encodings } from './encodings.ts';
import type { Marker } from './markers.ts';
import { unpacked } from './unpacked.ts';

/** Looks for all secrets in all encodings at once: one pass over the bytes, however many there are. */

export type Find = { marker: Marker; encoding: string };
export type Search = (bytes: Buffer, depth?: number) => Find[];

type Needle = Find & { bytes: Buffer };

/** Of a long one its middle: JWTs begin alike, and what is cut off is found too. */
const coreOf = (text: string) => (text.length > 80 ? text.slice(text.length / 2 - 24, text.length / 2 + 24) : text);

function needlesOf(markers: readonly Marker[]): Needle[] {
  const known = new Map<string, Needle>();
  for (const marker of markers)
    for (const [encoding, { needles }] of Object.entries(encodings))
      for (const bytes of needles(coreOf(marker.text))) {
        const key = `${marker.name} ${bytes.toString('latin1')}`;
        if (bytes.length < 12) throw new Error(`${marker.name} is too short to be looked for.`);
        if (!known.has(key)) known.set(key, { marker, encoding, bytes });
      }
  return [...known.values()];
}

const slots = 1 << 22;
const slotOf = (four: number) => Math.imul(four, 0x9e3779b1) >>> 10;

/** What is found names the secret and the encoding, each once. */
export function createSearch(markers: readonly Marker[]): Search {
  const byStart = new Map<number, Needle[]>();
  const filter = new Uint8Array(slots);
  for (const needle of needlesOf(markers)) {
    const start = needle.bytes.readUInt32BE(0);
    byStart.set(start, [...(byStart.get(start) ?? []), needle]);
    filter[slotOf(start)] = 1;
  }

  function pass(bytes: Buffer, found: Map<string, Find>): void {
    let four = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      four = ((four << 8) | (bytes[at] ?? 0)) >>> 0;
      if (at < 3 || filter[slotOf(four)] === 0) continue;
      for (const { marker, encoding, bytes: needle } of byStart.get(four) ?? [])
        if (needle.equals(bytes.subarray(at - 3, at - 3 + needle.length))) found.set(`${marker.name} ${encoding}`, { marker, encoding });
    }
  }

  return (bytes, depth = 2) => {
    const found = new Map<string, Find>();
    for (const view of unpacked(bytes, depth)) pass(view, found);
    return [...found.values()];
  };
}
