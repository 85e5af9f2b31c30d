/**
 * The seal beside jose with an imported CryptoKey, same texts, same key size, one run. Prints ratios; the absolute
 * numbers are this machine's. Run: node --import tsx bench/seal.ts
 */
import { randomBytes, webcrypto } from 'node:crypto';
import { FlattenedEncrypt, flattenedDecrypt } from 'jose';
import type { DataKeyRecord, DataKeyStore } from '../src/broker/seal.ts';
import { generateKeyRing, parseKeyRing } from '../src/outside/key-ring.ts';
import { createSeal } from '../src/outside/seal.ts';

const rounds = 5;
const roundMs = 300;
const text = randomBytes(1050).toString('base64'); // 1.4 KB, an access token with its refresh token
const place = { project: 'default', table: 'connections', row: 'con_1', field: 'credential', version: 1 };
const aad = new TextEncoder().encode(JSON.stringify([1, ...Object.values(place)]));

const seal = createSeal({ ring: parseKeyRing(generateKeyRing()), store: oneKeyStore() });
const sealed = await seal.seal(place, text);
const cryptoKey = await webcrypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
const bytes = new TextEncoder().encode(text);
const sealWithJose = () =>
  new FlattenedEncrypt(bytes).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'dk' }).setAdditionalAuthenticatedData(aad).encrypt(cryptoKey);
const sealedByJose = await sealWithJose();
const options = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] };

const candidates: Record<string, () => unknown> = {
  'jose seal': sealWithJose,
  'our seal': () => seal.seal(place, text),
  'jose open': async () => new TextDecoder().decode((await flattenedDecrypt(sealedByJose, cryptoKey, options)).plaintext),
  'our open': () => seal.open(place, sealed),
  'our openCached': () => seal.openCached(place, sealed),
};

/** Calls per second of each candidate: the best of several rounds that take turns, so that a busy machine hurts all alike. */
const best = new Map<string, number>();
for (let round = 0; round < rounds; round += 1) {
  for (const [name, call] of Object.entries(candidates)) best.set(name, Math.max(best.get(name) ?? 0, await callsPerSecond(call)));
}

console.log('what'.padEnd(16), 'per second'.padStart(12), 'x jose'.padStart(8));
for (const [name, perSecond] of best) {
  const base = best.get(name.includes('seal') ? 'jose seal' : 'jose open') ?? Number.NaN;
  console.log(name.padEnd(16), Math.round(perSecond).toLocaleString('en').padStart(12), (perSecond / base).toFixed(1).padStart(8));
}

async function callsPerSecond(call: () => unknown): Promise<number> {
  const begun = performance.now();
  let calls = 0;
  while (performance.now() - begun < roundMs) {
    for (let count = 0; count < 50; count += 1) await call();
    calls += 50;
  }
  return (calls * 1000) / (performance.now() - begun);
}

function oneKeyStore(): DataKeyStore {
  const records: DataKeyRecord[] = [];
  return {
    list: async () => records,
    find: async (kid) => records.find((record) => record.kid === kid),
    async insert(record) {
      const stored = { ...record, created_at: new Date(), retired_at: null };
      records.push(stored);
      return stored;
    },
    canary: async () => undefined,
    setCanary: async (canary) => canary,
  };
}
