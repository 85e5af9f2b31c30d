import { afterAll, beforeAll, expect, test } from 'vitest';
import { grants } from '../../src/grants/index.ts';
import { oauth1Schema } from '../../src/protocol/definition/schema.ts';
import { clientAuthentication } from '../../src/protocol/definition/token-schema.ts';
import { playAdministration, rotateKeys } from './administration.ts';
import { allowances } from './allowed.ts';
import { playBadDays } from './bad-days.ts';
import { uncalled } from './calls.ts';
import { collect, foundElsewhere, foundIn, foundInAnswers, type Sink } from './collected.ts';
import { playCommandLine } from './command-line.ts';
import { plant } from './decoys.ts';
import { sound } from './definitions.ts';
import { encodings } from './encodings.ts';
import { playCrash, playFailedStarts } from './endings.ts';
import { playGoodDays } from './good-days.ts';
import { kinds, type Marker } from './markers.ts';
import { playMisuse } from './misuse.ts';
import { playOutages } from './outages.ts';
import { addReceivers, lookAtReceivers } from './receivers.ts';
import { createSearch, type Search } from './search.ts';
import { type Stage, startStage } from './stage.ts';
import { noteDataKeys } from './unwrapped.ts';
import { playWithoutRedis } from './without-redis.ts';

/** No secret of any flow is anywhere but where it belongs: the real program is used, misused and ended, and everything it left is searched. */

let stage: Stage;
let sinks: Sink[];
let search: Search;
let crash: { code: number | null };
let decoys: Marker[];
let live: string[];

beforeAll(async () => {
  stage = await startStage();
  await addReceivers(stage);
  const ids = await playGoodDays(stage);
  live = Object.keys(ids);
  const rotated = rotateKeys(stage);
  await Promise.all([playBadDays(stage), rotated]);
  await Promise.all([playMisuse(stage), lookAtReceivers(stage), playAdministration(stage)]);
  const [commandLine, failedStarts] = await Promise.all([playCommandLine(stage, ids.json ?? ''), playFailedStarts(stage)]);
  const spilled = await playOutages(stage, ids.json ?? '');
  const { metrics, code } = await playCrash(stage);
  crash = { code };
  const withoutRedis = await playWithoutRedis(stage, ids.post ?? '');
  await noteDataKeys(stage);
  decoys = await plant(stage, commandLine.written);
  search = createSearch(stage.markers.all());
  sinks = await collect(stage, commandLine, {
    'failed starts': failedStarts,
    'spilled credentials': spilled,
    metrics: [metrics],
    'logs without Redis': [withoutRedis],
  });
}, 600_000);
afterAll(() => stage?.stop());

test('at least fifty secrets of every kind went through, and are looked for in at least eight encodings', () => {
  const markers = stage.markers.all();
  expect(markers.length).toBeGreaterThan(400);
  expect(kinds.filter((kind) => !markers.some((marker) => marker.kind === kind))).toEqual([]);
  expect(Object.keys(encodings).length).toBeGreaterThanOrEqual(8);
});

test('every call of the API was made, and went well', () => {
  expect(uncalled(stage.recorder.answers)).toEqual([]);
});

test('every grant, every way to authenticate and every signature made a connection', () => {
  const methods = live.map((owner) => sound[owner] ?? {});
  const used = (field: string) => new Set(methods.map((method) => method[field]).filter((value) => value !== undefined));
  expect([...used('grant')].sort()).toEqual(Object.keys(grants).sort());
  expect([...used('token_endpoint_auth_method')].sort()).toEqual([...clientAuthentication.options].sort());
  const { signature_method } = oauth1Schema.shape;
  expect([...used('signature_method'), signature_method.parse(undefined)].sort()).toEqual([...signature_method.unwrap().options].sort());
});

test('the queues of both kinds were used, and are looked into', () => {
  const textIn = (name: string, where: string) =>
    sinks
      .filter((sink) => sink.name === name)
      .flatMap(({ items }) => items.filter((item) => item.where.startsWith(where)))
      .map(({ bytes }) => bytes.toString('latin1'));
  for (const [name, where] of [
    ['Redis', 'redis {grantry-'],
    ['Postgres', 'postgres bullmq.'],
  ] as const)
    expect([name, textIn(name, where).some((text) => text.includes('refreshes'))]).toEqual([name, true]);
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
