import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventTypes } from '../../src/broker/records.ts';
import { type Told, tell } from '../../src/broker/timeline.ts';
import { errorTable } from '../../src/protocol/errors.ts';

/** Every event is told in sentences that can be read out. */

const codes = Object.keys(errorTable);
const reasons = ['invalid_grant', 'crash_during_rotation', 'expired', 'code_replayed', 'probe_refused', 'revoked'];

function expectSentences({ what, why, next }: Told): void {
  for (const text of [what, why, next]) {
    if (text === null) continue;
    expect(text).toMatch(/^[A-Z][^_{}[\]]+[.]$/);
    expect(text).not.toMatch(/undefined|null|NaN|\[object|token_version|\s{2}/);
    for (const code of codes.filter((known) => known.includes('_'))) expect(text).not.toContain(code);
  }
}

test.each(eventTypes)('%s says what happened, whatever data it has', (type) => {
  const odd: Record<string, unknown>[] = [{}, { error: 1, reason: null, next_attempt_in: 'x', expires_in: -1, failing_since: 'never', how: {} }];
  for (const name of ['toString', '__proto__', 'constructor']) odd.push({ error: name, reason: name, how: name });
  for (const data of odd) expectSentences(tell({ type, data }));
});

test.each(codes)('%s is told as the reason of a failed link and of a failed refresh', (code) => {
  for (const type of ['connect_link.failed', 'connection.refresh_failing', 'connection.reauthorization_required']) {
    const told = tell({ type, data: { error: code, reason: code, next_attempt_in: 60, retryable: true } });
    expectSentences(told);
    expect([told.why, told.next]).not.toContain(null);
  }
  expect(tell({ type: 'connection.refresh_failing', data: { error: code } }).why).not.toBe('The reason is not known.');
});

test('each failure of a refresh has an explanation of its own', () => {
  const told = codes.map((error) => tell({ type: 'connection.refresh_failing', data: { error } }).why);
  expect(new Set(told).size).toBe(codes.length);
});

test.each(reasons)('a connection that stopped for %s says why, and that it has to be connected again', (reason) => {
  const told = tell({ type: 'connection.reauthorization_required', data: { reason } });
  expectSentences(told);
  expect(told.next).toContain('connect the account again');
  expect(new Set(reasons.map((each) => tell({ type: 'connection.reauthorization_required', data: { reason: each } }).why)).size).toBe(reasons.length);
});

describe('what comes next', () => {
  test.each([
    ['provider_unavailable', 90, 'It is tried again by itself, the next time in about 90 seconds. The customer need not do anything.'],
    ['no_answer', 3_600, 'It is tried again by itself, the next time in about 1 hour. The customer need not do anything.'],
    ['no_answer', undefined, 'It is tried again by itself. The customer need not do anything.'],
    [
      'invalid_client',
      300,
      expect.stringMatching(
        /^If other connections .* connect the account again.* administrator .* correct .*\. It is tried again by itself, the next time in about 5 minutes\.$/,
      ),
    ],
    ['integrity_error', 300, expect.stringContaining('encryption keys')],
  ])('after %s', (error, next_attempt_in, next) => {
    expect(tell({ type: 'connection.refresh_failing', data: { error, next_attempt_in } }).next).toEqual(next);
  });

  test.each([
    [3_600, '1 hour'],
    [7_200, '2 hours'],
    [5_400, '90 minutes'],
    [86_400, '1 day'],
    [1_209_600, '14 days'],
    [1, '1 second'],
  ])('a token of %i s lives for %s', (expires_in, life) => {
    expect(tell({ type: 'connection.refreshed', data: { expires_in } }).why).toContain(`lives for ${life}.`);
  });

  test('a token without an end has none', () => {
    expect(tell({ type: 'connection.refreshed', data: { expires_in: null } }).why).toBeNull();
  });

  test('a recovery says since when it had failed', () => {
    const { why } = tell({ type: 'connection.recovered', data: { failing_since: '2026-11-20T12:34:56.789Z' } });
    expect(why).toContain('20 November 2026, 12:34 UTC');
  });
});

test('docs/health.md names every event and every reason', () => {
  const page = readFileSync(new URL('../../docs/health.md', import.meta.url), 'utf8');
  const named = new Set([...page.matchAll(/^\| `([a-z_.]+)` \|/gm)].map(([, name]) => name));
  for (const name of [...eventTypes, ...reasons.filter((reason) => reason !== 'revoked')]) expect(named).toContain(name);
});

test('an event of another version is no fault', () => {
  expectSentences(tell({ type: 'connection.enchanted', data: {} }));
});
