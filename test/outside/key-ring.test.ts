import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { CompactEncrypt, FlattenedEncrypt, flattenedDecrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import type { WrapContext } from '../../src/outside/key-provider.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';

const integrity = expect.objectContaining({ code: 'integrity_error' });
const context: WrapContext = ['data_key', 'default', 'dk_1'];
const secret = randomBytes(32);

const jwk = (kid: string, k: string = randomBytes(32).toString('base64url')) => ({ kty: 'oct', kid, k });
const ringOf = (...keys: unknown[]) => parseKeyRing(JSON.stringify({ keys }));

describe('wrapping', () => {
  it('unwraps in the same context only', async () => {
    const ring = ringOf(jwk('a'));
    const wrapped = await ring.wrap(context, secret);
    expect(Buffer.from(await ring.unwrap(context, wrapped))).toEqual(secret);
    const others: WrapContext[] = [
      ['data_key', 'other', 'dk_1'],
      ['data_key', 'default', 'dk_2'],
      ['canary'],
      ['data_key', 'defaultdk_1'],
      ['data_key', 'default","dk_1'],
    ];
    for (const other of others) await expect(ring.unwrap(other, wrapped), other.join(' ')).rejects.toEqual(integrity);
  });

  it('uses the first key; an old one still opens; a removed one does not, and the error says which', async () => {
    const [old, fresh] = [jwk('kek_old'), jwk('kek_new')];
    const byOld = await ringOf(old).wrap(context, secret);
    const both = ringOf(fresh, old);
    expect(both.kids).toEqual(['kek_new', 'kek_old']);
    expect(Buffer.from(await both.unwrap(context, byOld))).toEqual(secret);
    const byNew = await both.wrap(context, secret);
    expect(Buffer.from(await ringOf(fresh).unwrap(context, byNew))).toEqual(secret);
    await expect(ringOf(fresh).unwrap(context, byOld)).rejects.toMatchObject({
      code: 'integrity_error',
      message: 'A stored key is sealed with the key "kek_old", which GRANTRY_KEYS does not hold.',
    });
  });

  it('refuses the right name with another key', async () => {
    const wrapped = await ringOf(jwk('a')).wrap(context, secret);
    await expect(ringOf(jwk('a')).unwrap(context, wrapped)).rejects.toEqual(integrity);
  });

  it('refuses every altered character and every shorter text', async () => {
    const ring = ringOf(jwk('a'));
    const wrapped = await ring.wrap(context, secret);
    for (let index = 0; index < wrapped.length; index += 1) {
      const altered = wrapped.slice(0, index) + (wrapped[index] === 'A' ? 'Q' : 'A') + wrapped.slice(index + 1);
      await expect(ring.unwrap(context, altered), altered).rejects.toEqual(integrity);
      await expect(ring.unwrap(context, wrapped.slice(0, index))).rejects.toEqual(integrity);
    }
  });

  it('is a JWE that jose opens', async () => {
    const key = jwk('a');
    const [header = '', encrypted_key = '', iv = '', ciphertext = '', tag = ''] = (await ringOf(key).wrap(context, secret)).split('.');
    const aad = Buffer.from(JSON.stringify([1, ...context])).toString('base64url');
    const opened = await flattenedDecrypt({ protected: header, encrypted_key, iv, ciphertext, tag, aad }, Buffer.from(key.k, 'base64url'));
    expect(Buffer.from(opened.plaintext)).toEqual(secret);
    expect(opened.protectedHeader).toMatchObject({ alg: 'A256GCMKW', enc: 'A256GCM', kid: 'a' });
  });

  it.each(['__proto__', 'constructor', 'b'])('refuses the key name "%s" that it does not hold', async (kid) => {
    const key = jwk('a');
    const jwe = await new CompactEncrypt(secret)
      .setProtectedHeader({ alg: 'A256GCMKW', enc: 'A256GCM', kid })
      .encrypt(Buffer.from(key.k, 'base64url'));
    await expect(ringOf(key).unwrap(context, jwe)).rejects.toEqual(integrity);
  });

  it.each([
    [{ alg: 'A256GCMKW', enc: 'A256GCM', zip: 'DEF' }],
    [{ alg: 'A256GCMKW', enc: 'A256CBC-HS512' }],
    [{ alg: 'A256KW', enc: 'A256GCM' }],
    [{ alg: 'dir', enc: 'A256GCM' }],
    [{ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM' }],
  ])('refuses %o under the right key', async (header) => {
    const key = jwk('a');
    const jwe = await new FlattenedEncrypt(secret)
      .setProtectedHeader({ ...header, kid: 'a' })
      .setAdditionalAuthenticatedData(new TextEncoder().encode(JSON.stringify([1, ...context])))
      .encrypt(Buffer.from(key.k, 'base64url'));
    await expect(ringOf(key).unwrap(context, [jwe.protected, jwe.encrypted_key ?? '', jwe.iv, jwe.ciphertext, jwe.tag].join('.'))).rejects.toEqual(
      integrity,
    );
  });
});

describe('GRANTRY_KEYS', () => {
  const good = jwk('a');
  const faulty: [string, unknown, string[]][] = [
    ['not an object', [], ['']],
    ['no keys', {}, ['/keys']],
    ['an empty list', { keys: [] }, ['/keys']],
    ['a key that is none', { keys: [good, 7] }, ['/keys/1']],
    ['no name', { keys: [{ kty: 'oct', k: good.k }] }, ['/keys/0/kid']],
    ['an odd name', { keys: [{ ...good, kid: 'a b' }] }, ['/keys/0/kid']],
    ['a name twice', { keys: [good, jwk('b'), jwk('a')] }, ['/keys/2/kid']],
    ['a short key', { keys: [jwk('a', randomBytes(16).toString('base64url'))] }, ['/keys/0/k']],
    ['a long key', { keys: [jwk('a', randomBytes(33).toString('base64url'))] }, ['/keys/0/k']],
    ['padding', { keys: [jwk('a', randomBytes(32).toString('base64'))] }, ['/keys/0/k']],
    ['stray bits', { keys: [jwk('a', `${'A'.repeat(42)}B`)] }, ['/keys/0/k']],
    ['an RSA key', { keys: [{ ...good, kty: 'RSA' }] }, ['/keys/0/kty']],
    ['a key for something else', { keys: [{ ...good, alg: 'HS256', use: 'sig' }] }, ['/keys/0/alg', '/keys/0/use']],
    [
      'all faults at once',
      { keys: [{ kty: 'EC', kid: '', k: 'x' }, good, { kid: 'b' }] },
      ['/keys/0/kty', '/keys/0/kid', '/keys/0/k', '/keys/2/kty', '/keys/2/k'],
    ],
  ];

  it.each(faulty)('%s', (_, set, pointers) => {
    expect(faultOf(JSON.stringify(set))).toMatchObject({ code: 'invalid_request', details: { errors: pointers.map((pointer) => ({ pointer })) } });
  });

  it('shows no key material in any fault', () => {
    const { k } = good;
    const texts = [
      ...faulty.map(([, set]) => JSON.stringify(set)),
      `{"keys":[{"k":"${k}"`,
      k,
      `"${k}"`,
      JSON.stringify({ keys: [{ ...good, k: `${k}${k}` }] }),
      JSON.stringify({ keys: [{ ...good, kid: k, k: 7 }], [k]: 1 }),
    ];
    for (const text of texts) {
      const printed = inspect(faultOf(text), { depth: 9, showHidden: true });
      expect(printed).toContain('GRANTRY_KEYS');
      expect(printed).not.toContain(k.slice(0, 8));
    }
  });

  it('is understood as generated, with one new key each time', () => {
    const [one, two] = [parseKeyRing(generateKeyRing()), parseKeyRing(generateKeyRing())];
    expect(one.kids).toHaveLength(1);
    expect(one.kids).not.toEqual(two.kids);
  });
});

it('prints as [sealed]', () => {
  const key = jwk('a');
  const ring = ringOf(key);
  expect([inspect(ring, { depth: 9, showHidden: true }), JSON.stringify({ ring }), String(ring), `${inspect({ nested: { ring } })}`]).toEqual([
    '[sealed]',
    '{"ring":"[sealed]"}',
    '[sealed]',
    '{ nested: { ring: [sealed] } }',
  ]);
});

function faultOf(text: string): unknown {
  try {
    parseKeyRing(text);
  } catch (error) {
    return error;
  }
  throw new Error('was accepted');
}
