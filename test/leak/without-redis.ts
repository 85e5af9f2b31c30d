import { startBrokerProcess } from '../harness/broker-process.ts';
import { connect } from './connecting.ts';
import { refreshByWorker } from './good-days.ts';
import type { Item } from './sinks.ts';
import { type Stage, until } from './stage.ts';

/** The next day, on the same database and without a Redis: queues and limits are in Postgres. What it printed. */
export async function playWithoutRedis(stage: Stage, connection: string): Promise<Item> {
  const { env, bundle, recorder, talker, root, markers, sql } = stage;
  const { NODE_OPTIONS: _, REDIS_URL: __, ...rest } = env;
  const broker = await startBrokerProcess(rest, bundle.program);
  try {
    recorder.goTo(broker.url);
    const heard = () => talker.heard.filter(({ owner }) => owner === 'hooks').length;
    const before = heard();
    const headers = { authorization: `Bearer ${markers.make('wrong key', 'broker')}` };
    await (await fetch(`${recorder.url}/v1/connections`, { headers })).text();
    const id = await connect(stage, 'rsa');
    await refreshByWorker(stage, connection);
    // One that goes wrong stays in the queue.
    const failing = await connect(stage, 'basic');
    talker.answers('basic', 'token', 'error page');
    await sql(`update connections set refresh_due_at = now() - interval '1 second' where id = $1`, [failing]);
    await until(
      () => root.call<{ status: string }>('GET', `/v1/connections/${failing}`),
      ({ status }) => status === 'refresh_failing',
    );
    await root.call('DELETE', `/v1/connections/${id}`);
    await until(heard, (count) => count > before);
    const code = await broker.end('SIGTERM');
    if (code !== 0) throw new Error(`It ended with ${code}.`);
  } finally {
    if (broker.process.exitCode === null) await broker.end('SIGKILL');
  }
  return { where: 'printed', bytes: Buffer.from(broker.printed.join('')) };
}
