import { randomFillSync } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A sortable, unguessable id: `prefix_` and 26 characters of Crockford's base 32, 48 bits of milliseconds and 80 random ones.
 * Ids of later milliseconds sort later, so that lists page by id.
 */
export function newId(prefix: 'con' | 'lnk' | 'evt' | 'key' | 'dky' | 'whe' | 'aud' | 'rot'): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  fillRandom(bytes, 6);
  return `${prefix}_${base32(bytes)}`;
}

/** Sorts before every id that is made at this time or later, and after all that were made before; `whd` ids have the time of their event. */
export function idFloor(prefix: 'evt' | 'whd', date: Date): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, date.getTime()), 0, 6);
  return `${prefix}_${base32(bytes)}`;
}

/** Asking the system for ten bytes costs as much as for ten thousand. Each byte is used once. */
const drawn = Buffer.alloc(8_192);
let used = drawn.length;

function fillRandom(bytes: Buffer, from: number): void {
  const count = bytes.length - from;
  if (used + count > drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  drawn.copy(bytes, from, used, used + count);
  used += count;
}

/** 16 bytes, with two zero bits before them, are 26 times five bits. */
function base32(bytes: Buffer): string {
  let text = '';
  let value = 0;
  let bits = 2;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return text;
}
