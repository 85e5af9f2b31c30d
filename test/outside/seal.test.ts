import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { FlattenedEncrypt, flattenedDecrypt } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Place, Seal } from '../../src/broker/seal.ts';
import { encryptJwe } from '../../src/outside/jwe.ts';
import type { KeyProvider } from '../../src/outside/key-provider.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { createSeal } from '../../src/outside/seal.ts';
import { GrantryError, isGrantryError } from '../../src/protocol/errors.ts';
import { createDataKeyMemory, type DataKeyMemory } from './data-key-memory.ts';

const place: Place = { project: 'default', table: 'connections', row: 'con_1', field: 'access_token', version: 3 };
const secret = 'gho_Grüße-and-a-token';
const integrity = expect.objectContaining({ code: 'integrity_error' });

let provider: KeyProvider;
let store: DataKeyMemory;
let seal: Seal;
let sealed: string;

beforeAll(async () => {
  provider = parseKeyRing(generateKeyRing());
  store = createDataKeyMemory();
  seal = createSeal({ provider, store });
  sealed = await seal.seal(place, secret);
  await seal.seal({ ...place, project: 'other' }, secret);
});

const partsOf = (text: string) => {
  const [header = '', encryptedKey = '', iv = '', ciphertext = '', tag = ''] = text.split('.');
  return { header, encryptedKey, iv, ciphertext, tag };
};
const headerOf = (text: string): unknown => JSON.parse(Buffer.from(partsOf(text).header, 'base64url').toString());
const aadOf = ({ project, table, row, field, version }: Place) => new TextEncoder().encode(JSON.stringify([1, project, table, row, field, version]));
const keyOf = async (project: string) => {
  const [record] = await store.list(project);
  if (record === undefined) throw new Error('no data key');
  return { kid: record.kid, bytes: await provider.unwrap(['data_key', project, record.kid], record.wrapped) };
};

/** Both ways to open must refuse; the synchronous one may also say that it does not have such a key. */
async function expectRefused(at: Place, text: string): Promise<void> {
  await expect(seal.open(at, text), text).rejects.toEqual(integrity);
  expect(cachedOutcome(at, text), text).toEqual(expect.toSatisfy((outcome) => outcome === undefined || isGrantryError(outcome, 'integrity_error')));
}

/** Refused for its form alone, before any key is looked for. */
async function expectMalformed(text: string): Promise<void> {
  await expect(seal.open(place, text), text).rejects.toEqual(integrity);
  expect(() => seal.openCached(place, text), text).toThrow(integrity);
}

function cachedOutcome(at: Place, text: string): unknown {
  try {
    return seal.openCached(at, text);
  } catch (error) {
    return error;
  }
}

describe('what is sealed opens again', () => {
  it.each(['', 'a', secret, '{"access_token":"x"}', '\u{1F511}\u0000\n'.repeat(5000)])('text %#', async (text) => {
    const fresh = await seal.seal(place, text);
    expect(await seal.open(place, fresh)).toBe(text);
    expect(seal.openCached(place, fresh)).toBe(text);
  });

  it('in another process, which has to fetch the data key once', async () => {
    const other = createSeal({ provider, store });
    const before = store.reads();
    expect(other.openCached(place, sealed)).toBeUndefined();
    expect(await Promise.all([other.open(place, sealed), other.open(place, sealed)])).toEqual([secret, secret]);
    expect(other.openCached(place, sealed)).toBe(secret);
    expect(store.reads() - before).toBe(1);
  });

  it('is one string without the text, the additional data or the key in it', async () => {
    expect(sealed).toMatch(/^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
    expect(headerOf(sealed)).toEqual({ alg: 'dir', enc: 'A256GCM', kid: (await keyOf('default')).kid });
    expect(Buffer.from(sealed.split('.').join(''), 'base64url').toString('latin1')).not.toContain('gho_');
  });
});

describe('the place is bound', () => {
  const moved: [string, Partial<Place>][] = [
    ['project', { project: 'other' }],
    ['project that never sealed', { project: 'new' }],
    ['table', { table: 'integrations' }],
    ['row', { row: 'con_2' }],
    ['field', { field: 'refresh_token' }],
    ['an older version', { version: 2 }],
    ['a newer version', { version: 4 }],
    ['names run together', { table: 'connection', row: 'scon_1' }],
    ['names with the separator in them', { row: 'con_1","access_token', field: '' }],
  ];

  it.each(moved)('%s', async (_, change) => {
    await expectRefused({ ...place, ...change }, sealed);
  });

  it('an old ciphertext put back under the new version', async () => {
    const next = { ...place, version: 4 };
    await expectRefused(next, sealed);
    await expectRefused(place, await seal.seal(next, secret));
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('a version must be a whole number, not %d', async (version) => {
    await expect(seal.seal({ ...place, version }, secret)).rejects.toEqual(integrity);
    await expectRefused({ ...place, version }, sealed);
  });

  it('and the error names where, not what', async () => {
    const error: unknown = await seal.open({ ...place, version: 2 }, sealed).catch((reason: unknown) => reason);
    expect(inspect(error)).toContain('connections, con_1, access_token');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('gho_');
  });
});

describe('whatever is altered does not open', () => {
  it('each character of each part, replaced', async () => {
    for (let index = 0; index < sealed.length; index += 1) {
      const next = sealed[index] === 'A' ? 'B' : 'A';
      await expectRefused(place, `${sealed.slice(0, index)}${next}${sealed.slice(index + 1)}`);
    }
  });

  it('each bit of IV, ciphertext and tag, flipped', async () => {
    const { header, ...rest } = partsOf(sealed);
    for (const name of ['iv', 'ciphertext', 'tag'] as const) {
      const bytes = Buffer.from(rest[name], 'base64url');
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = Buffer.from(bytes);
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const part = (of: typeof name) => (of === name ? flipped.toString('base64url') : rest[of]);
        await expectRefused(place, `${header}..${part('iv')}.${part('ciphertext')}.${part('tag')}`);
      }
    }
  });

  it('cut off anywhere', async () => {
    for (let length = 0; length < sealed.length; length += 1) await expectRefused(place, sealed.slice(0, length));
  });

  it('short tags and IVs of other lengths', async () => {
    const { header, iv, ciphertext, tag } = partsOf(sealed);
    for (const bytes of [4, 8, 12, 15]) {
      const short = Buffer.from(tag, 'base64url').subarray(0, bytes).toString('base64url');
      await expectRefused(place, `${header}..${iv}.${ciphertext}.${short}`);
    }
    const { bytes } = await keyOf('default');
    for (const length of [8, 11, 13, 16]) {
      const otherIv = randomBytes(length);
      const cipher = createCipheriv('aes-256-gcm', bytes, otherIv);
      cipher.setAAD(Buffer.from(`${header}.${Buffer.from(aadOf(place)).toString('base64url')}`));
      const otherText = Buffer.concat([cipher.update(secret), cipher.final()]);
      await expectRefused(place, [header, '', ...[otherIv, otherText, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.'));
    }
  });

  it('another spelling of the same bytes, more parts, a key of its own', async () => {
    const { header, iv, ciphertext, tag } = partsOf(sealed);
    for (const text of [
      `${sealed}=`,
      `${sealed}.`,
      `${sealed}\n`,
      ` ${sealed}`,
      `${header}..${iv}.${ciphertext}.${tag}==`,
      `${header}..${iv}.${ciphertext} .${tag}`,
      `${header}.AAAA.${iv}.${ciphertext}.${tag}`,
      '',
      '....',
      'null',
    ]) {
      await expectRefused(place, text);
    }
  });
});

describe('the header holds what we write and nothing else', () => {
  /** Sealed by jose under the right key and place: only the header can be the reason of a refusal. */
  async function sealedByJose(header: Record<string, unknown>): Promise<string> {
    const { kid, bytes } = await keyOf('default');
    const jwe = await new FlattenedEncrypt(Buffer.from(secret))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, ...header })
      .setAdditionalAuthenticatedData(aadOf(place))
      .encrypt(bytes);
    return [jwe.protected, jwe.encrypted_key ?? '', jwe.iv, jwe.ciphertext, jwe.tag].join('.');
  }

  /** The same for headers, and texts in place of one, that jose would not write. */
  async function sealedUnder(header: string): Promise<string> {
    const { bytes } = await keyOf('default');
    const aad = Buffer.from(aadOf(place)).toString();
    return encryptJwe({ key: createSecretKey(bytes), protectedHeader: Buffer.from(header).toString('base64url'), aad, plaintext: secret });
  }

  it('opens what jose sealed with exactly that header', async () => {
    const text = await sealedByJose({});
    expect(await seal.open(place, text)).toBe(secret);
    expect(seal.openCached(place, text)).toBe(secret);
  });

  it.each([[{ zip: 'DEF' }], [{ typ: 'JWT' }], [{ p2c: 1_000_000_000 }], [{ kid: undefined }], [{ kid: 7 }], [{ apu: 'x' }]])(
    'refuses what jose sealed with %o',
    async (header) => {
      await expectMalformed(await sealedByJose(header));
    },
  );

  it.each([
    [{ alg: 'A256GCMKW' }],
    [{ alg: 'PBES2-HS512+A256KW', p2c: 1_000_000_000, p2s: 'x' }],
    [{ alg: 'none' }],
    [{ alg: ['dir'] }],
    [{ enc: 'A128GCM' }],
    [{ enc: 'A256CBC-HS512' }],
    [{ crit: ['exp'], exp: 1 }],
    [{ kid: ['a'] }],
    [{ kid: null }],
  ])('refuses %o, authentic otherwise', async (change) => {
    const { kid } = await keyOf('default');
    const header = { alg: 'dir', enc: 'A256GCM', kid };
    expect(await seal.open(place, await sealedUnder(JSON.stringify(header)))).toBe(secret);
    await expectMalformed(await sealedUnder(JSON.stringify({ ...header, ...change })));
  });

  it.each(['[]', 'null', '"dir"', '7', '{', '', '["dir","A256GCM","dk"]'])('refuses the header %s', async (text) => {
    await expectMalformed(await sealedUnder(text));
  });

  it.each(['__proto__', 'constructor', 'toString', '', 'dk_unknown'])('refuses the key name "%s"', async (kid) => {
    await expect(seal.open(place, await sealedByJose({ kid }))).rejects.toEqual(integrity);
    expect(seal.openCached(place, await sealedByJose({ kid }))).toBeUndefined();
  });

  it("refuses the other project's key even when the text was sealed for this place", async () => {
    const { kid, bytes } = await keyOf('other');
    const jwe = await new FlattenedEncrypt(Buffer.from(secret))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid })
      .setAdditionalAuthenticatedData(aadOf(place))
      .encrypt(bytes);
    const text = [jwe.protected, '', jwe.iv, jwe.ciphertext, jwe.tag].join('.');
    await expectRefused(place, text);
    await expect(createSeal({ provider, store }).open(place, text)).rejects.toEqual(integrity);
  });
});

describe('jose', () => {
  it('opens what we sealed, given the additional data', async () => {
    const { header, iv, ciphertext, tag } = partsOf(sealed);
    const { bytes } = await keyOf('default');
    const jwe = { protected: header, iv, ciphertext, tag };
    const aad = Buffer.from(aadOf(place)).toString('base64url');
    const options = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] };
    const opened = await flattenedDecrypt({ ...jwe, aad }, createSecretKey(bytes), options);
    expect(Buffer.from(opened.plaintext).toString()).toBe(secret);
    await expect(flattenedDecrypt(jwe, createSecretKey(bytes), options)).rejects.toMatchObject({ code: 'ERR_JWE_DECRYPTION_FAILED' });
  });
});

describe('who listens hears', () => {
  const { version: _, ...where } = place;

  it('of each text that does not open, once and by its place, and of none that does', async () => {
    const heard: unknown[] = [];
    const told = createSeal({ provider, store, onUnopened: ({ project, table, row, field }) => heard.push({ project, table, row, field }) });
    expect(await told.open(place, sealed)).toBe(secret);
    expect(told.openCached(place, sealed)).toBe(secret);
    expect(heard).toEqual([]);
    const moved = { ...place, row: 'con_2' };
    expect(() => told.openCached(moved, sealed)).toThrow(integrity);
    expect(heard).toEqual([{ ...where, row: 'con_2' }]);
    await expect(told.open(moved, sealed)).rejects.toEqual(integrity);
    await expect(told.open(place, 'no JWE')).rejects.toEqual(integrity);
    expect(() => told.openCached(place, 'no JWE')).toThrow(integrity);
    expect(heard).toEqual([{ ...where, row: 'con_2' }, { ...where, row: 'con_2' }, where, where]);
  });

  it('of a data key that does not open when something is to be sealed, and not of a key service that is away', async () => {
    const heard: unknown[] = [];
    const onUnopened = ({ project, table }: { project: string; table: string }) => heard.push([project, table]);
    const others = createSeal({ provider: parseKeyRing(generateKeyRing()), store, onUnopened });
    await expect(others.seal(place, secret)).rejects.toEqual(integrity);
    await expect(others.ready('other')).rejects.toEqual(integrity);
    expect(heard).toEqual([
      ['default', 'data_keys'],
      ['other', 'data_keys'],
    ]);
    const away = { ...provider, unwrap: () => Promise.reject(new GrantryError('unavailable')) };
    await expect(createSeal({ provider: away, store, onUnopened }).open(place, sealed)).rejects.toMatchObject({ code: 'unavailable' });
    expect(heard).toHaveLength(2);
  });
});

it('never uses an IV twice: 100,000 seals', { timeout: 120_000 }, async () => {
  const ivs = new Set<string>();
  for (let count = 0; count < 100_000; count += 1) ivs.add(partsOf(await seal.seal(place, 'x')).iv);
  expect(ivs.size).toBe(100_000);
});

it('prints neither keys nor texts', async () => {
  const { bytes } = await keyOf('default');
  const printed = [inspect(seal, { depth: 9, showHidden: true }), JSON.stringify(seal), inspect(store, { depth: 9 }), sealed].join('\n');
  for (const encoding of ['hex', 'base64', 'base64url'] as const) expect(printed).not.toContain(Buffer.from(bytes).toString(encoding).slice(0, 40));
  expect(printed).not.toContain(secret);
});
