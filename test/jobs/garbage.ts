import type { ChainableCommander, Redis } from 'ioredis';
import type { Chance } from '../fuzz/chance.ts';

/** What somebody who can write to Redis may leave in BullMQ's own keys. Everything odd holds the mark. */

export const mark = 'of-the-intruder';

const prefixOf = (queue: string) => `{grantry-${queue}}:${queue}:`;

const texts = [
  mark,
  `{"${mark}`,
  `["${mark}"]`,
  'null',
  '5',
  '""',
  '[]',
  '{}',
  `{"__proto__":{"polluted":"${mark}"},"connection_id":"con_1","token_version":1}`,
  `{"connection_id":"con_${mark}","token_version":1}`,
  `{"delivery_id":"whd_${mark}"}`,
  '\u0000\ud800',
  '-1',
  'NaN',
  '1e400',
  '9'.repeat(400),
  mark.repeat(2_000),
] as const;

const options = [
  `{"repeat":{"every":1,"${mark}":1}}`,
  `{"repeat":{"pattern":"* * * * * *"}}`,
  '{"attempts":1000000,"backoff":1}',
  '{"delay":-5,"priority":-1,"lifo":"RPUSH"}',
  `{"parent":{"id":"${mark}","queue":"${mark}"}}`,
  `{"tm":"${mark}","omc":{}}`,
  `{"kl":${JSON.stringify(mark)},"removeOnComplete":{"count":-1}}`,
  '{"de":{"id":{}}}',
] as const;

const fields = ['id', 'name', 'data', 'opts', 'progress', 'delay', 'priority', 'timestamp', 'ats', 'atm', 'stc', 'finishedOn', 'rjk', 'deid', 'defa'];
const moreFields = ['failedReason', 'stacktrace', 'returnvalue', 'parentKey', 'parent', 'pb', 'processedOn'];

/** Some of the fields of a job, each with any text. */
function oddFields(chance: Chance): Record<string, string> {
  const some = [...fields, ...moreFields].filter(() => chance.is(0.3));
  const odd = Object.fromEntries(some.map((field) => [field, chance.pick(texts)]));
  return { ...odd, name: chance.pick(texts), ...(chance.is(0.5) && { opts: chance.pick(options) }) };
}

/** Writes something at the key of a job that is no job. */
function writeOther(pipe: ChainableCommander, key: string, chance: Chance): void {
  const text = chance.pick(texts);
  const ways = [
    () => pipe.set(key, text),
    () => pipe.lpush(key, text),
    () => pipe.sadd(key, text),
    () => pipe.zadd(key, 1, text),
    () => pipe.xadd(key, '*', 'x', text),
  ];
  chance.pick(ways)();
}

/** Makes the queue hold this id, in one of the ways in which it can. */
function bring(pipe: ChainableCommander, prefix: string, id: string, chance: Chance): void {
  const score = chance.pick(['0', '-1', '1', '-inf', '+inf', '1e300', String(Date.now() * 0x1000)]);
  const ways = [
    () => pipe.lpush(`${prefix}wait`, id),
    () => pipe.rpush(`${prefix}wait`, id),
    () => pipe.zadd(`${prefix}prioritized`, score, id),
    () => pipe.zadd(`${prefix}delayed`, score, id),
    () => pipe.lpush(`${prefix}active`, id),
    () => pipe.zadd(`${prefix}repeat`, score, id),
  ];
  // Most are where they will be taken.
  if (chance.is(0.6)) pipe.lpush(`${prefix}wait`, id);
  else chance.pick(ways)();
}

/** Puts so many jobs that nobody sent into the queue, past BullMQ. */
export async function litter(redis: Redis, queue: string, count: number, chance: Chance): Promise<void> {
  const prefix = prefixOf(queue);
  for (let from = 0; from < count; from += 500) {
    const pipe = redis.pipeline();
    for (let n = from; n < Math.min(count, from + 500); n += 1) {
      const id = chance.pick([`${mark}-${n}`, `repeat:${mark}:${n}`, `con_${n}-1`, `${n}`, `${mark}:${n}:lock`]);
      const key = `${prefix}${id}`;
      if (chance.is(0.7)) pipe.hset(key, oddFields(chance));
      else if (chance.is(0.5)) writeOther(pipe, key, chance);
      if (chance.is(0.1)) writeOther(pipe, `${key}:${chance.pick(['lock', 'dependencies', 'processed', 'logs'])}`, chance);
      if (chance.is(0.1)) pipe.hset(`${prefix}repeat:${id}`, { name: mark, every: chance.pick(texts), data: chance.pick(texts) });
      bring(pipe, prefix, id, chance);
      // What waits for a job is told that there is one.
      pipe.zadd(`${prefix}marker`, 0, '0');
    }
    // Some are refused, as those for a key that is a list already.
    await pipe.exec();
  }
}

const keys = ['wait', 'active', 'prioritized', 'delayed', 'paused', 'meta', 'marker', 'events', 'stalled', 'stalled-check', 'limiter', 'id', 'pc'];

export type Hold = { name: string; hold(redis: Redis, queue: string): Promise<unknown> };

/** Each takes hold of a whole queue. */
export const holds: readonly Hold[] = [
  ...[...keys, 'repeat', 'completed', 'failed'].map((key) => ({
    name: `${key} is a list, or else a text`,
    hold: (redis: Redis, queue: string) => {
      const whole = `${prefixOf(queue)}${key}`;
      const pipe = redis.multi().del(whole);
      return (['wait', 'active', 'paused'].includes(key) ? pipe.set(whole, mark) : pipe.lpush(whole, mark)).exec();
    },
  })),
  { name: 'the queue is paused', hold: (redis, queue) => redis.hset(`${prefixOf(queue)}meta`, 'paused', '1') },
  { name: 'no job may run', hold: (redis, queue) => redis.hset(`${prefixOf(queue)}meta`, 'concurrency', '0') },
  {
    name: 'one job may run in a year',
    hold: (redis, queue) =>
      redis
        .multi()
        .hset(`${prefixOf(queue)}meta`, { max: '1', duration: '31536000000' })
        .set(`${prefixOf(queue)}limiter`, '9', 'PX', 31_536_000_000)
        .exec(),
  },
];

/** Each takes hold of one schedule. */
export const scheduleHolds: readonly { name: string; hold(redis: Redis, queue: string, schedule: string): Promise<unknown> }[] = [
  {
    name: 'it runs next in a year',
    hold: (redis, queue, schedule) =>
      redis
        .multi()
        .zadd(`${prefixOf(queue)}repeat`, Date.now() + 31_536_000_000, schedule)
        .del(`${prefixOf(queue)}delayed`)
        .exec(),
  },
  { name: 'it runs every millisecond', hold: (redis, queue, schedule) => redis.hset(`${prefixOf(queue)}repeat:${schedule}`, 'every', '1') },
  {
    name: 'what it makes cannot be read',
    hold: (redis, queue, schedule) => redis.hset(`${prefixOf(queue)}repeat:${schedule}`, { data: `{"${mark}`, opts: `{"${mark}` }),
  },
];

/** How often a schedule runs by what stands in Redis. */
export const intervalOf = (redis: Redis, queue: string, schedule: string) => redis.hget(`${prefixOf(queue)}repeat:${schedule}`, 'every');

/** Puts something at the id of a job that is not there yet. */
export const takeId = (redis: Redis, queue: string, id: string) => redis.hset(`${prefixOf(queue)}${id}`, 'name', mark);
