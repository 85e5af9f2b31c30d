import { expect, test } from 'vitest';
import { ownJob } from '../../src/jobs/own-job.ts';

const schedules = { sweep: 5_000 };
const odd = {
  id: 'another',
  name: 'x',
  data: '{"a":1}',
  opts: { attempts: 9, delay: 9, repeat: { every: 1 }, parent: { id: 'p', queue: 'q' }, telemetry: { metadata: 'trace', omitContext: true } },
  repeatJobKey: 'theirs',
  parentKey: 'q:p',
  parent: { id: 'p' },
  deduplicationId: 'd',
  stacktrace: '[',
  timestamp: 1,
  processedOn: 2,
};

test('a job keeps its id, name, payload and trace, and nothing that BullMQ would act upon', () => {
  expect(ownJob(odd, 'own', schedules, { removeOnFail: true })).toEqual({
    id: 'own',
    name: 'x',
    data: '{"a":1}',
    opts: { removeOnFail: true, telemetry: { metadata: 'trace', omitContext: true } },
    timestamp: 1,
    processedOn: 2,
  });
});

test('one of our schedules repeats as often as we say', () => {
  const { opts, repeatJobKey } = ownJob({ ...odd, repeatJobKey: 'sweep' }, 'own', schedules, {});
  expect([opts, repeatJobKey]).toEqual([expect.objectContaining({ repeat: { every: 5_000 } }), 'sweep']);
});

test('a name that all objects have is no schedule', () => {
  expect(ownJob({ ...odd, repeatJobKey: 'constructor' }, 'own', schedules, {})).not.toHaveProperty('repeatJobKey');
});

test.each(['{"a', '', undefined, 5])('a payload that is no JSON is null: %s', (data) => {
  expect(ownJob({ ...odd, data }, 'own', schedules, {}).data).toBe('null');
});

test.each([null, 5, {}, { telemetry: null }, { telemetry: { metadata: {} } }])('options that hold no trace are none: %j', (opts) => {
  expect(ownJob({ ...odd, opts }, 'own', schedules, {}).opts).toEqual({});
});
