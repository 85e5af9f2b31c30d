import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../harness/broker.ts';
import { attacks } from './attacks.ts';
import { defenceNames } from './defences.ts';
import { matrix } from './matrix.ts';
import { buildPatchedCopy, type PatchedCopy, patched } from './patched-copy.ts';
import { type Stage, startStage } from './stage.ts';

/** Every attack against the broker as it is, and against a copy of it whose defences can be turned off one by one. */

let copy: PatchedCopy;
let whole: Stage;
let weak: Stage;
beforeAll(async () => {
  copy = await buildPatchedCopy();
  [whole, weak] = await Promise.all([startStage(), startStage(copy)]);
});
afterAll(async () => {
  await Promise.all([whole?.stop(), weak?.stop()]);
  await copy?.remove();
  if (process.env.npm_lifecycle_event === 'attacks') console.log(`${matrix(attacks)}\n${attacks.length} attacks were run.`);
});

describe.each(attacks)('$name', ({ falls, run }) => {
  test('is stopped by the broker as it is', async () => {
    const { outcome, evidence } = await run(whole);
    expect([outcome, evidence]).toEqual(['stopped', evidence]);
  });

  test.each(falls.map((set) => ({ set, names: set.join(' + ') })))('succeeds without $names, and not with one of them back', async ({ set }) => {
    copy.turnOff(set);
    const { outcome, evidence } = await run(weak);
    expect([outcome, evidence]).toEqual(['succeeded', evidence]);
    for (const back of set) {
      copy.turnOff(set.filter((name) => name !== back));
      expect([back, await run(weak)]).toEqual([back, expect.objectContaining({ outcome: 'stopped' })]);
    }
  });
});

test('every defence stops something', () => {
  expect(defenceNames.filter((name) => !attacks.some(({ falls }) => falls.flat().includes(name)))).toEqual([]);
});

test('a defence whose place in the source has changed is noticed', () => {
  const edit = { defence: 'x', file: 'x.ts', snippet: 'if (a)', without: 'if (!OFF && a)' };
  expect(() => patched('if (b) {}', edit)).toThrow('not once');
  expect(() => patched('if (a) {} if (a) {}', edit)).toThrow('not once');
  expect(patched('if (a) {}', edit)).toBe('if (!globalThis.grantryDefencesOff.has("x") && a) {}');
});

test('docs/attack-matrix.md is this matrix (npm run attacks prints it)', () => {
  expect(readFileSync(join(packageRoot, 'docs/attack-matrix.md'), 'utf8')).toBe(matrix(attacks));
});
