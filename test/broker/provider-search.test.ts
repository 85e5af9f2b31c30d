import { afterAll, beforeAll, expect, it } from 'vitest';
import { rankOf } from '../../src/broker/provider-search.ts';
import { parseDefinitionValue } from '../../src/protocol/definition/parse.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { type Listed, walk } from '../web/api/walk.ts';

const definition = (id: string, more: object = {}) => ({
  id,
  name: id,
  methods: { key: { grant: 'api_key', inputs: { api_key: { label: 'Key' } } } },
  ...more,
});

it.each([
  ['drive', 0, { id: 'drive' }],
  ['DRIVE', 0, { id: 'x', name: 'Drive' }],
  ['battle.net', 0, { id: 'battle-net' }],
  ['café', 0, { id: 'x', name: 'Cafe' }],
  ['gh', 1, { id: 'x', aliases: ['GH'] }],
  ['dri', 2, { id: 'drive' }],
  ['dri', 3, { id: 'x', name: 'Big Drive' }],
  ['dri', 3, { id: 'x', aliases: ['drive'] }],
  ['riv', 4, { id: 'drive' }],
  ['riv', 5, { id: 'x', aliases: ['drive'] }],
  ['crm', 6, { id: 'x', categories: ['crm'] }],
  ['cr', 7, { id: 'x', categories: ['crm'] }],
  ['dri', undefined, { id: 'x' }],
  ['-', undefined, { id: 'x' }],
])('%s ranks %s in %j', (typed, rank, given) => {
  expect(rankOf(parseDefinitionValue(definition(given.id, given), { allowPrivateHosts: false }), typed)).toBe(rank);
});

let world: TestBroker;
beforeAll(async () => {
  world = await startTestBroker();
});
afterAll(() => world.stop());
const found = async (q: string, limit = 200) =>
  (await world.root.call<Listed<{ id: string }>>('GET', '/v1/providers', { query: { q, limit } })).data.map(({ id }) => id);

it('what fits best comes first, own and shipped beside each other, page by page the same', async () => {
  for (const [id, more] of [
    ['a-zzyx', {}],
    ['zzyx', {}],
    ['zzyxer', {}],
    ['b', { aliases: ['zzyx'] }],
    ['c', { categories: ['zzyx'] }],
    ['d', { name: 'The zzyx' }],
    ['e', { name: 'azzyxa' }],
  ] as const)
    await world.root.call('PUT', `/v1/providers/${id}`, { body: definition(id, more) });
  const expected = ['zzyx', 'b', 'zzyxer', 'a-zzyx', 'd', 'e', 'c'];
  expect(await found('zzyx')).toEqual(expected);
  for (const limit of [1, 2, 3]) expect(await walk(world.root, '/v1/providers?q=zzyx', limit)).toEqual(expected);
  expect((await found('github'))[0]).toBe('github');
  expect(await found('no such provider')).toEqual([]);
});

it('a page goes on where it was, also when what ended it is gone', async () => {
  const first = await world.root.call<Listed<{ id: string }>>('GET', '/v1/providers', { query: { q: 'zzyx', limit: 2 } });
  await world.root.call('DELETE', '/v1/providers/b');
  const next = await world.root.call<Listed<{ id: string }>>('GET', '/v1/providers', {
    query: { q: 'zzyx', limit: 2, cursor: first.next_cursor ?? '' },
  });
  expect(next.data.map(({ id }) => id)).toEqual(['zzyxer', 'a-zzyx']);
});

it('a change is found at once', async () => {
  expect(await found('renamed thing')).toEqual([]);
  await world.root.call('PUT', '/v1/providers/e', { body: definition('e', { name: 'Renamed thing' }) });
  expect(await found('renamed thing')).toEqual(['e']);
});
