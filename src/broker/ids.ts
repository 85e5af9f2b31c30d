import { randomBytes } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A sortable, unguessable id: `prefix_` and 26 characters of Crockford's base 32, 48 bits of milliseconds and 80 random ones.
 * Ids of later milliseconds sort later, so that lists page by id.
 */
export function newId(prefix: 'con' | 'lnk' | 'evt' | 'key' | 'dky' | 'whe'): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  randomBytes(10).copy(bytes, 6);
  return `${prefix}_${base32(bytes)}`;
}

/** Sorts before every id that is made at this time or later, and after all that were made before; `whd` ids have the time of their event. */
export function idFloor(prefix: 'evt' | 'whd', date: Date): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, date.getTime()), 0, 6);
  return `${prefix}_${base32(bytes)}`;
}

function base32(bytes: Buffer): string {
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let i = 0; i < 26; i += 1) {
    text = alphabet[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return text;
}
