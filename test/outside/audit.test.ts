import { afterEach, expect, test } from 'vitest';
import type { Audit, Counted } from '../../src/broker/audit.ts';
import type { AuditLog, CountedEntry, PendingEntry } from '../../src/broker/store.ts';
import { createAudit } from '../../src/outside/audit.ts';

/** What a process keeps in memory of the audit log: counted by the minute, bounded, written when Postgres is back. */

let closing: (() => Promise<void>) | undefined;
afterEach(async () => {
  await closing?.();
  closing = undefined;
});

let nowMs = Date.UTC(2026, 0, 1);
function auditWith(over: Partial<AuditLog>, everyMs = 3_600_000): { audit: Audit & { close(): Promise<void> }; lost: number[] } {
  const lost: number[] = [];
  const nothing = () => Promise.reject(new Error('not asked here'));
  const store: AuditLog = {
    pend: async () => {},
    forget: async () => {},
    count: async () => {},
    chain: async () => 0,
    list: nothing,
    head: nothing,
    ...over,
  };
  const audit = createAudit({ store, everyMs, now: () => nowMs, log: { warn() {}, error: () => void lost.push(1) } });
  closing = audit.close;
  return { audit, lost };
}

const release: Counted = { project_id: 'default', actor: 'key_1', action: 'token.released', target_id: 'con_1', address: '192.0.2.1' };
const stranger = (n: number): Counted => ({ project_id: null, actor: 'unknown', action: 'auth.refused', target_id: null, address: `192.0.2.${n}` });
const sum = (entries: readonly CountedEntry[]) => entries.reduce((all, { count }) => all + count, 0);

test('one entry for each minute, key, connection and address', async () => {
  const written: CountedEntry[] = [];
  const { audit } = auditWith({ count: async (entries) => void written.push(...entries) });
  for (let n = 0; n < 100; n += 1) audit.count(release);
  audit.count({ ...release, actor: 'key_2' });
  audit.count({ ...release, target_id: 'con_2' });
  audit.count({ ...release, address: '192.0.2.2' });
  nowMs += 61_000;
  audit.count(release);
  await audit.close();
  expect(written.map(({ count, minute }) => [count, minute.getTime() % 60_000])).toEqual([100, 1, 1, 1, 1].map((count) => [count, 0]));
  expect(new Set(written.map(({ minute }) => minute.getTime())).size).toBe(2);
});

test('beyond a bound it is counted all the same, no longer by target and address: strangers sooner than keys', async () => {
  const written: CountedEntry[] = [];
  const { audit } = auditWith({ count: async (entries) => void written.push(...entries) });
  for (let n = 0; n < 5_000; n += 1) audit.count(stranger(n));
  for (let n = 0; n < 100_050; n += 1) audit.count({ ...release, target_id: `con_${n}` });
  await audit.close();
  const of = (action: string) => written.filter((entry) => entry.action === action);
  expect([of('auth.refused').length, sum(of('auth.refused'))]).toEqual([1_001, 5_000]);
  expect([of('token.released').length, sum(of('token.released'))]).toEqual([100_001, 100_050]);
  expect(of('token.released').filter(({ target_id }) => target_id === null)).toMatchObject([{ count: 50, address: null, actor: 'key_1' }]);
});

test('strangers are told apart only so far in a minute, however often what is counted is written', async () => {
  const written: CountedEntry[] = [];
  const { audit } = auditWith({ count: async (entries) => void written.push(...entries) }, 5);
  for (let n = 0; n < 3_000; n += 1) {
    audit.count(stranger(n));
    if (n % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await audit.close();
  expect(new Set(written.map(({ address }) => address)).size).toBe(1_001);
  expect(sum(written)).toBe(3_000);
});

test('what cannot be written is kept and written later, once', async () => {
  const written: CountedEntry[] = [];
  const pended: PendingEntry[] = [];
  let isAway = true;
  const away = async <T>(work: () => T): Promise<T> => {
    if (isAway) throw new Error('away');
    return work();
  };
  const { audit } = auditWith(
    { count: (entries) => away(() => void written.push(...entries)), pend: (pending) => away(() => void pended.push(pending)) },
    5,
  );
  for (let n = 0; n < 1_200; n += 1) audit.count({ ...release, target_id: `con_${n}` });
  // More than one attempt, each of which gives back what it has taken.
  await new Promise((resolve) => setTimeout(resolve, 30));
  const entry = { ...release, at: new Date(nowMs), request_id: null, details: {} };
  await expect(audit.begin(entry)).rejects.toThrow('away');
  await audit.write(entry);
  await new Promise((resolve) => setTimeout(resolve, 30));
  audit.count({ ...release, target_id: 'con_1' });
  expect([written, pended]).toEqual([[], []]);
  isAway = false;
  await audit.close();
  expect([written.length, sum(written)]).toEqual([1_200, 1_201]);
  expect(pended).toMatchObject([{ entry, dueInS: 0 }]);
});

test('more than ten thousand entries are not kept, and that is said', async () => {
  const { audit, lost } = auditWith({ pend: () => Promise.reject(new Error('away')) });
  const entry = { ...release, at: new Date(nowMs), request_id: null, details: {} };
  for (let n = 0; n < 10_003; n += 1) await audit.write(entry);
  expect(lost).toHaveLength(3);
});

test('who asks for the chain gets all that was written before, though one is being made', async () => {
  const begun: (() => void)[] = [];
  const { audit } = auditWith({ chain: () => new Promise((resolve) => begun.push(() => resolve(1))) });
  const [first, second, third] = [audit.chain(), audit.chain(), audit.chain()];
  expect(begun).toHaveLength(1);
  begun[0]?.();
  await first;
  await expect.poll(() => begun.length).toBe(2);
  begun[1]?.();
  await Promise.all([second, third]);
  expect(begun).toHaveLength(2);
  closing = undefined;
});

test('the end does not wait for ever for a database that hangs', async () => {
  const { audit } = auditWith({ count: () => new Promise(() => {}) });
  audit.count(release);
  await audit.close();
  closing = undefined;
});
