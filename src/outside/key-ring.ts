import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { FlattenedEncrypt, flattenedDecrypt } from 'jose';
import { z } from 'zod';
import { type Fault, GrantryError } from '../protocol/errors.ts';
import { fromBase64url, integrityError, parseProtectedHeader, splitJwe } from './jwe.ts';
import type { KeyProvider, WrapContext } from './key-provider.ts';

/**
 * The master keys in this process: a JWK Set (RFC 7517) of symmetric 256-bit keys. The first one wraps, all of them unwrap;
 * each wrapped secret names its key. Prints and serialises as `[sealed]`.
 */
export type KeyRing = KeyProvider & {
  /** Names of the keys, the wrapping one first. */
  readonly kids: readonly string[];
};

const algorithm = 'A256GCMKW'; // RFC 7518 section 4.7
const encryption = 'A256GCM';
const headerMembers = ['alg', 'enc', 'kid', 'iv', 'tag'] as const;

const jwkSet = z.object(
  {
    keys: z
      .array(
        z.object(
          {
            kty: z.literal('oct', 'must be "oct"'),
            kid: z.string('is required').regex(/^[A-Za-z0-9._~:-]{1,128}$/, 'must be 1 to 128 of A-Z a-z 0-9 . _ ~ : -'),
            k: z.string('is required').refine(is256Bits, 'must be 32 bytes in base64url without padding (43 characters)'),
            alg: z.literal(algorithm, `must be "${algorithm}" or absent`).optional(),
            use: z.literal('enc', 'must be "enc" or absent').optional(),
          },
          'must be an object',
        ),
        'must be a list of keys',
      )
      .min(1, 'must hold at least one key'),
  },
  'must be a JWK Set: {"keys": [...]}',
);

/**
 * Parses a key ring: `{"keys": [{"kty": "oct", "kid": "...", "k": "<43 characters>"}, ...]}`.
 * Throws `invalid_request` with every fault and its pointer; key material is in no message and in no cause.
 * @param name what the text comes from, for messages
 */
export function parseKeyRing(text: string, name = 'GRANTRY_KEYS'): KeyRing {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refusal(name, [{ pointer: '', detail: 'must be JSON' }]); // the parser's own message quotes its input
  }
  const parsed = jwkSet.safeParse(json);
  if (!parsed.success) {
    throw refusal(
      name,
      parsed.error.issues.map(({ path, message }) => ({ pointer: path.map((step) => `/${String(step)}`).join(''), detail: message })),
    );
  }
  const keys = new Map<string, KeyObject>();
  const repeated: Fault[] = [];
  for (const [index, { kid, k }] of parsed.data.keys.entries()) {
    if (keys.has(kid)) repeated.push({ pointer: `/keys/${index}/kid`, detail: 'is the name of an earlier key too' });
    else keys.set(kid, createSecretKey(k, 'base64url'));
  }
  if (repeated.length > 0) throw refusal(name, repeated);
  return createKeyRing(name, keys);
}

/** A JWK Set, as text, with one fresh key in it. */
export function generateKeyRing(): string {
  const key = { kty: 'oct', kid: `kek_${randomBytes(8).toString('hex')}`, use: 'enc', alg: algorithm, k: randomBytes(32).toString('base64url') };
  return `${JSON.stringify({ keys: [key] }, null, 2)}\n`;
}

function createKeyRing(name: string, keys: ReadonlyMap<string, KeyObject>): KeyRing {
  const kids = Object.freeze([...keys.keys()]);
  const kidOf = (wrapped: string) => parseProtectedHeader(splitJwe(wrapped).protectedHeader, headerMembers).kid;
  const ring = {
    name,
    kind: 'ring' as const,
    kids,
    current: async () => kids[0] ?? '',
    holds: (id: string) => keys.has(id),
    isOwn: (wrapped: string) => wrapped.startsWith('eyJ'), // base64url of {"
    keyOf: kidOf,
    async wrap(context: WrapContext, secret: Uint8Array) {
      for (const [kid, key] of keys) {
        const jwe = await new FlattenedEncrypt(secret)
          .setProtectedHeader({ alg: algorithm, enc: encryption, kid })
          .setAdditionalAuthenticatedData(boundTo(context))
          .encrypt(key);
        return [jwe.protected, jwe.encrypted_key, jwe.iv, jwe.ciphertext, jwe.tag].join('.');
      }
      throw new GrantryError('internal_error');
    },
    async unwrap(context: WrapContext, wrapped: string) {
      const parts = splitJwe(wrapped);
      const { kid } = parseProtectedHeader(parts.protectedHeader, headerMembers);
      const key = keys.get(kid);
      if (key === undefined) throw integrityError(`A stored key is sealed with the key ${JSON.stringify(kid)}, which ${name} does not hold.`);
      const jwe = {
        protected: parts.protectedHeader,
        encrypted_key: parts.encryptedKey,
        iv: parts.iv,
        ciphertext: parts.ciphertext,
        tag: parts.tag,
        aad: Buffer.from(boundTo(context)).toString('base64url'),
      };
      try {
        const opened = await flattenedDecrypt(jwe, key, { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: [encryption] });
        return opened.plaintext;
      } catch (cause) {
        throw integrityError(`A stored key does not open with the key ${JSON.stringify(kid)} of ${name}.`, cause);
      }
    },
    toJSON: () => '[sealed]',
    toString: () => '[sealed]',
    [Symbol.for('nodejs.util.inspect.custom')]: () => '[sealed]',
  };
  return Object.freeze(ring);
}

/** A list in JSON is unambiguous whatever the names hold; the number is the version of this encoding. */
function boundTo(context: WrapContext): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([1, ...context]));
}

function is256Bits(k: string): boolean {
  try {
    return fromBase64url(k).length === 32;
  } catch {
    return false;
  }
}

function refusal(name: string, errors: readonly Fault[]): GrantryError {
  const list = errors.map(({ pointer, detail }) => `${pointer === '' ? 'it' : pointer} ${detail}`).join('; ');
  return new GrantryError('invalid_request', { detail: `${name} cannot be used: ${list}.`, errors });
}
