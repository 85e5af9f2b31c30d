import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { turnKeys } from '../../src/broker/rotate-keys.ts';
import { parseKeyRing } from '../../src/outside/key-ring.ts';
import { createKeyTurning } from '../../src/outside/key-turning.ts';
import { openPostgres } from '../../src/outside/postgres/database.ts';
import { createStore } from '../../src/outside/postgres/store.ts';
import { createSeal } from '../../src/outside/seal.ts';

/** A worker that turns keys and does nothing else, to be killed. */

const { DATABASE_URL = '', GRANTRY_KEYS = '', ROWS_PER_S = '' } = process.env;
const provider = parseKeyRing(GRANTRY_KEYS);
const store = createStore(openPostgres({ url: DATABASE_URL, max: 2, onError: () => {} }));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const world = {
  store,
  seal: createSeal({ provider, store: store.dataKeys, sealingKeyMaxAgeMs: 0 }),
  keys: createKeyTurning(provider, 0),
  log,
  elapsedMs: () => performance.now(),
  sleep: (ms: number) => sleep(ms),
  random: randomBytes,
};
for (;;) await turnKeys(world, { ms: 60_000, rowsPerS: Number(ROWS_PER_S), graceS: 0 });
