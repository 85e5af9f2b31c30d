import { type BackendFactory, createPostgresBackend, createRedisBackend, type IQueueBackend, withBackend } from 'bullmq';
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { postgresConnections, redisConnections } from '../../src/jobs/connections.ts';
import { createTelemetry } from '../../src/jobs/telemetry.ts';
import { type Place, postgresPlace, redisPlace } from './backends.ts';
import { counter, startTrial, type Trial } from './trial.ts';

async function addOn<B extends IQueueBackend, C>(backend: BackendFactory<B, C>, connection: C): Promise<void> {
  const { Queue } = withBackend(backend);
  const queue = new Queue('trial', { connection, prefix: '{grantry-trial}' });
  for (let n = 0; n < 3; n += 1) await queue.add('trial', {}, { telemetry: { metadata: '{"traceparent":' } });
  await queue.close();
}

/** Jobs whose trace nobody can read, as whoever can write to the server may leave them. */
const addUnreadable = ({ backend: { kind, url } }: Place): Promise<void> =>
  kind === 'redis' ? addOn(createRedisBackend, redisConnections(url).queue) : addOn(createPostgresBackend, postgresConnections(url).queue);

describe.each([
  { name: 'Redis', find: () => redisPlace(9) },
  { name: 'Postgres', find: () => postgresPlace() },
])('on $name', ({ find }) => {
  let trial: Trial;

  beforeAll(async () => {
    trial = await startTrial(await find());
  });
  afterEach(() => trial.clear());
  afterAll(() => trial.end());

  test('a job whose trace cannot be read is done, and does not stop the others', async () => {
    const counted = counter();
    trial.keep(counted.run, { everyMs: 3_600_000, telemetry: createTelemetry() });
    await counted.more(1);
    const done = counted.more(3);
    await addUnreadable(trial.place);
    await done;
  });
});
