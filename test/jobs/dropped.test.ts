import { expect, test } from 'vitest';
import { createDropped } from '../../src/jobs/trouble.ts';
import { createLog } from '../../src/outside/log.ts';

test('jobs that are dropped are counted, and told of once a minute', () => {
  const logged: string[] = [];
  let nowMs = 0;
  const dropped = createDropped({ log: createLog('info', { write: (line) => logged.push(line) }), now: () => new Date(nowMs) }, 'refresh');
  for (let n = 0; n < 10_000; n += 1) dropped();
  nowMs += 60_000;
  dropped();
  expect(logged.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ queue: 'refresh', times: 1 }),
    expect.objectContaining({ queue: 'refresh', times: 10_000 }),
  ]);
});
