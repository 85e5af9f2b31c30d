import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseKeyRing } from '../../src/outside/key-ring.ts';
import { allowances } from './allowed.ts';
import { playBadDays } from './bad-days.ts';
import { collect, foundElsewhere, foundIn, foundInAnswers, type Sink } from './collected.ts';
import { playCommandLine } from './command-line.ts';
import { plant } from './decoys.ts';
import { encodings } from './encodings.ts';
import { playCrash, playFailedStarts } from './endings.ts';
import { playGoodDays } from './good-days.ts';
import { kinds, type Marker } from './markers.ts';
import { playMisuse } from './misuse.ts';
import { playOutages } from './outages.ts';
import { addReceivers, lookAtReceivers } from './receivers.ts';
import { createSearch, type Search } from './search.ts';
import { type Stage, startStage } from './stage.ts';

/** No secret of any flow is anywhere but where it belongs: the real program is used, misused and ended, and everything it left is searched. */

let stage: Stage;
let sinks: Sink[];
let search: Search;
let crash: { code: number | null };
let decoys: Marker[];

/** The keys that seal: Postgres has them wrapped, and nobody else has them. */
async function noteDataKeys({ markers, env, sql }: Stage): Promise<void> {
  const ring = parseKeyRing(env.GRANTRY_KEYS ?? '');
  for (const { kid, project_id, wrapped } of await sql<{ kid: string; project_id: string; wrapped: string }>('select * from data_keys')) {
    const key = Buffer.from(await ring.unwrap(['data_key', project_id, kid], wrapped));
    for (const encoding of ['hex', 'base64'] as const) markers.note('data key', 'broker', key.toString(encoding));
  }
}

beforeAll(async () => {
  stage = await startStage();
  await addReceivers(stage);
  const ids = await playGoodDays(stage);
  await playBadDays(stage);
  await Promise.all([playMisuse(stage), lookAtReceivers(stage)]);
  const [commandLine, failedStarts] = await Promise.all([playCommandLine(stage, ids.json ?? ''), playFailedStarts(stage)]);
  const spilled = await playOutages(stage, ids.json ?? '');
  await noteDataKeys(stage);
  const { metrics, code } = await playCrash(stage);
  crash = { code };
  decoys = await plant(stage, commandLine.written);
  search = createSearch(stage.markers.all());
  sinks = await collect(stage, commandLine, { 'failed starts': failedStarts, 'spilled credentials': spilled, metrics: [metrics] });
}, 600_000);
afterAll(() => stage?.stop());

test('at least fifty secrets of every kind went through, and are looked for in at least eight encodings', () => {
  const markers = stage.markers.all();
  expect(markers.length).toBeGreaterThan(400);
  expect(kinds.filter((kind) => !markers.some((marker) => marker.kind === kind))).toEqual([]);
  expect(Object.keys(encodings).length).toBeGreaterThanOrEqual(8);
});

test('every sink has something in it', () => {
  for (const { name, items } of sinks)
    expect([name, items.reduce((sum, { bytes }) => sum + bytes.length, 0) > 100 || name === 'referrers']).toEqual([name, true]);
  expect(crash.code).toBe(1);
  expect(stage.recorder.answers.length).toBeGreaterThan(500);
});

test('a secret that was put into any sink, in any encoding, is found', () => {
  const look = createSearch(decoys);
  const found = [...sinks.flatMap((sink) => foundIn(sink, look)), ...foundInAnswers(stage, look).found].join('\n');
  expect(decoys.length).toBeGreaterThan(100);
  expect(decoys.filter(({ name }) => !found.includes(name)).map(({ name }) => name)).toEqual([]);
});

test('no secret is in any sink', () => {
  expect(sinks.flatMap((sink) => foundIn(sink, search))).toEqual([]);
});

test('no answer holds a secret but those that are there to hand it over, and each of these does', () => {
  const { found, used } = foundInAnswers(stage, search);
  expect(found).toEqual([]);
  const listed = allowances.flatMap(({ what, kinds: allowed }) => allowed.map((kind) => `${what}: ${kind}`));
  expect([...used].sort()).toEqual([...new Set(listed)].sort());
});

test('nobody is told the secrets of somebody else', () => {
  expect(foundElsewhere(stage, search)).toEqual([]);
});
