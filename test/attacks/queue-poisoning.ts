import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createChance } from '../fuzz/chance.ts';
import { holds, litter } from '../jobs/garbage.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';

/** Whoever can write to Redis puts jobs there: a refresh spends a refresh token, which nobody else may decide. */

const odd: unknown[] = [
  null,
  0,
  'x',
  [],
  {},
  { connection_id: null, token_version: 1 },
  { connection_id: { $ne: '' }, token_version: 1 },
  { connection_id: 'con_1', token_version: 1.5 },
  { connection_id: "con_1' or 1=1 --", token_version: 1 },
  JSON.parse('{"__proto__": {"polluted": true}, "connection_id": "con_1", "token_version": 1}'),
  { constructor: { prototype: { polluted: true } } },
  { connection_id: 'x'.repeat(100_000), token_version: 1 },
];

/** A connection whose token is good for an hour, at a provider whose name nobody has asked for. */
export async function freshConnection({ strict, fresh }: Stage): Promise<{ id: string; host: string }> {
  const id = fresh('renewing');
  const host = `${id}.evil.com`;
  const { root } = strict.broker;
  const endpoints = { authorization_endpoint: `https://${host}/authorize`, token_endpoint: `https://${host}/token` };
  await root.call('PUT', `/v1/providers/${id}`, { body: { id, name: 'Renewing', methods: { web: { grant: 'authorization_code', ...endpoints } } } });
  await root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'app', client_secret: 'secret' } });
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const imported = { access_token: 'at', refresh_token: 'rt', expires_at };
  const made = await root.call<{ id: string }>('POST', '/v1/connections', { body: { integration: id, end_user: { id: 'u1' }, import: imported } });
  return { id: made.id, host };
}

/** So many sweeps find nothing to do with what was handed out before. */
const mostSweeps = 25;

/** Background work at a Redis of its own, beside a connection that is due after `spoil`; whether it was refreshed. */
async function refreshedDespite(stage: Stage, spoil: (redis: Redis) => Promise<unknown>): Promise<boolean> {
  const redisUrl = Object.assign(new URL(stage.strict.redisUrl), { pathname: '/1' }).href;
  const redis = new Redis(redisUrl);
  await redis.flushdb();
  const { world } = stage.broker;
  let sweeps = 0;
  const due = async (limit: number, holdS: number) => {
    sweeps += 1;
    return await world.store.refreshes.due(limit, holdS);
  };
  const name = stage.fresh('renewing');
  const machine = { grant: 'client_credentials', token_endpoint: `${stage.evil.url}/token` };
  stage.answerTokens('{"access_token":"at","token_type":"Bearer","expires_in":3600}');
  await stage.define(JSON.stringify({ id: name, name: 'Renewing', methods: { machine } }));
  await stage.root.call('POST', '/v1/integrations', { body: { id: name, provider: name, client_id: 'app', client_secret: 'secret' } });
  const body = { integration: name, end_user: { id: 'u' }, grant: 'client_credentials' };
  const { id } = await stage.root.call<{ id: string }>('POST', '/v1/connections', { body });
  const counted = { ...world, store: { ...world.store, refreshes: { ...world.store.refreshes, due } } };
  const jobs = await stage.work({ world: counted, redisUrl, sweepEveryMs: 200 });
  try {
    while (sweeps < 1) await sleep(20);
    await spoil(redis);
    await stage.sql('update connections set refresh_due_at = now() where id = $1', [id]);
    const until = sweeps + mostSweeps;
    while (sweeps < until) {
      const [row] = await stage.sql<{ token_version: number }>('select token_version from connections where id = $1', [id]);
      if (row?.token_version === 2) return true;
      await sleep(50);
    }
    return false;
  } finally {
    await jobs.stop();
    await redis.flushdb();
    redis.disconnect();
  }
}

export const queuePoisoning: Attack[] = [
  {
    name: 'queue poisoning: jobs that nobody sent, for a connection that is not due, among garbage',
    falls: [['due by Postgres']],
    async run(stage) {
      const { strict } = stage;
      const { id, host } = await freshConnection(stage);
      const poisoned = (name: string) => new Queue(name, { connection: { url: strict.redisUrl }, prefix: `{grantry-${name}}` });
      const queues = ['refresh', 'webhooks'].map(poisoned);
      try {
        const gone = { removeOnComplete: true, removeOnFail: true };
        const jobs = odd.map((data) => ({ name: randomBytes(4).toString('hex'), data, opts: gone }));
        for (const queue of queues) await queue.addBulk(jobs);
        await queues[0]?.addBulk([1, 2, 3].map((token_version) => ({ name: 'refresh', data: { connection_id: id, token_version }, opts: gone })));
        for (const queue of queues) {
          const left = async () => Object.values(await queue.getJobCounts('waiting', 'active', 'prioritized')).reduce((sum, n) => sum + n, 0);
          for (let patience = 600; patience > 0 && (await left()) > 0; patience -= 1) await sleep(50);
          if ((await left()) > 0) throw new Error('The jobs were not taken.');
        }
      } finally {
        await Promise.all(queues.map((queue) => queue.close()));
      }
      if (Object.hasOwn(Object.prototype, 'polluted')) return succeeded('the prototype of everything was written to');
      await strict.broker.root.call('GET', `/v1/connections/${id}`);
      return strict.asked(host) > 0 ? succeeded('the provider was asked for a new token') : stopped('every job was dropped');
    },
  },
  {
    name: 'queue poisoning: garbage in the structures of the queue, which is told to stand still, before a connection that is due',
    falls: [['queue filled anew']],
    async run(stage) {
      const done = await refreshedDespite(stage, async (redis) => {
        await litter(redis, 'refresh', 50, createChance(1));
        for (const { name, hold } of holds) if (name === 'the queue is paused') await hold(redis, 'refresh');
      });
      return done ? stopped('it was refreshed') : succeeded(`it was not refreshed in ${mostSweeps} sweeps`);
    },
  },
];
