import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { encodings } from './encodings.ts';
import { createMarkers, type Marker } from './markers.ts';
import type { Stage } from './stage.ts';

/** Leaks on purpose: a secret of its own in each sink, in each encoding. What is not found there would not be found if it were real. */

type Put = (bytes: Buffer, name: string) => Promise<unknown> | unknown;

function sinksOf(stage: Stage, redis: Redis, written: string): Record<string, Put> {
  const { broker, sql, directories, collector, talker, recorder } = stage;
  return {
    logs: (bytes) => broker.printed.push(bytes.toString('latin1')),
    'Postgres, bytes': (bytes) => sql('insert into decoys (bytes) values ($1)', [bytes]),
    'Postgres, text': (bytes) => sql('insert into decoys (words) values ($1)', [bytes.toString('latin1').replaceAll('\0', '\\u0000')]),
    'Postgres, JSON': (bytes) =>
      sql('insert into decoys (document) values ($1)', [JSON.stringify({ deep: [bytes.toString('latin1').replaceAll('\0', '\\u0000')] })]),
    'Redis, string': (bytes, name) => redis.set(`decoy ${name}`, bytes),
    'Redis, list': (bytes) => redis.lpush('decoy list', bytes),
    'Redis, set': (bytes) => redis.sadd('decoy set', bytes),
    'Redis, sorted set': (bytes) => redis.zadd('decoy sorted', 1, bytes),
    'Redis, hash': (bytes, name) => redis.hset('decoy hash', name, bytes),
    'Redis, stream': (bytes) => redis.xadd('decoy stream', '*', 'field', bytes),
    'Redis, name of a key': (bytes) => redis.set(bytes, 'x'),
    files: (bytes, name) => writeFile(join(directories.data, name), bytes),
    'crash reports': (bytes, name) => writeFile(join(directories.reports, name), bytes),
    'command line': (bytes, name) => writeFile(join(written, name), bytes),
    traces: (bytes) => fetch(collector.url, { method: 'POST', body: new Uint8Array(bytes) }),
    referrers: (bytes) =>
      fetch(`${talker.url}/decoy/x`, { headers: { referer: `https://x.example/${bytes.toString('latin1').replaceAll('\0', '\\u0000')}` } }),
    answers: (bytes) => recorder.answers.push({ method: 'GET', path: '/decoy', status: 200, bytes }),
  };
}

/** Puts them there; the secrets, each named by where it is. */
export async function plant(stage: Stage, written: string): Promise<Marker[]> {
  const { make } = createMarkers();
  const planted: Marker[] = [];
  const redis = new Redis(stage.redis.url);
  await stage.sql('create table decoys (words text, bytes bytea, document jsonb)');
  for (const [sink, put] of Object.entries(sinksOf(stage, redis, written)))
    for (const [encoding, { write }] of Object.entries(encodings)) {
      const text = `${make('misplaced secret', sink)}&/+="<%~`;
      planted.push({ name: `${sink}, ${encoding}`, kind: 'misplaced secret', owner: sink, text });
      await put(write(text), `${encoding}-${planted.length}`);
    }
  redis.disconnect();
  return planted;
}
