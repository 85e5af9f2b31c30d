/**
 * The seal beside jose with an imported CryptoKey, same texts, same key size, one run. Prints ratios; the absolute
 * numbers are this machine's. Run: node --import tsx bench/seal.ts
 */
import { randomBytes, webcrypto } from 'node:crypto';
import { FlattenedEncrypt, flattenedDecrypt } from 'jose';
import type { DataKeyRecord, DataKeyStore } from '../src/broker/seal.ts';
import { generateKeyRing, parseKeyRing } from '../src/outside/key-ring.ts';
import { createSeal } from '../src/outside/seal.ts';

const rounds = 7;
const callsPerRound = 1500;
const text = randomBytes(1050).toString('base64'); // 1.4 KB, an access token with its refresh token
const place = { project: 'default', table: 'connections', row: 'con_1', field: 'credential', version: 1 };
const aad = new TextEncoder().encode(JSON.stringify([1, ...Object.values(place)]));

const seal = createSeal({ provider: parseKeyRing(generateKeyRing()), store: oneKeyStore() });
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

/** CPU time of all threads, so that other load counts little; the best of several rounds that take turns. */
const best = new Map<string, number>();
for (let round = 0; round < rounds; round += 1) {
  for (const [name, call] of Object.entries(candidates)) best.set(name, Math.min(best.get(name) ?? Number.POSITIVE_INFINITY, await cpuUs(call)));
}

console.log('what'.padEnd(16), 'us of CPU'.padStart(10), 'faster than jose'.padStart(18));
for (const [name, us] of best) {
  const jose = best.get(name.includes('seal') ? 'jose seal' : 'jose open') ?? Number.NaN;
  console.log(name.padEnd(16), us.toFixed(1).padStart(10), `${(jose / us).toFixed(1)} x`.padStart(18));
}

/** Microseconds of CPU per call. */
async function cpuUs(call: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let count = 0; count < callsPerRound; count += 1) await call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / callsPerRound;
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
    stillInUse: async () => true,
    canary: async () => undefined,
    setCanary: async (canary) => canary,
  };
}
