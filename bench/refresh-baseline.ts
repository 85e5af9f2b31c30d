import { createSecretKey } from 'node:crypto';
import pg from 'pg';
import { Agent, request } from 'undici';
import { decryptJwe, encryptJwe, splitJwe } from '../src/outside/jwe.ts';

/** What a refresh costs at least, in a process of its own: a bare loop of POSTs, and one that also selects, opens, seals and updates a row. */

type Order = { id: number; kind: 'bare' | 'minimal'; url: string; count: number; inFlight: number; databaseUrl: string };

const key = createSecretKey(Buffer.alloc(32, 7));
const header = Buffer.from('{"alg":"dir","enc":"A256GCM","kid":"bench"}').toString('base64url');
const agent = new Agent({ connections: 200, pipelining: 1 });
const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'r'.repeat(200) }).toString();
const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${Buffer.from('id:secret').toString('base64')}` };

async function post(url: string): Promise<Record<string, unknown>> {
  const answer = await request(url, { method: 'POST', body, headers, dispatcher: agent });
  return JSON.parse(await answer.body.text());
}

async function minimal(pool: pg.Pool, url: string, n: number): Promise<void> {
  const { rows } = await pool.query<{ sealed: string; version: number }>({
    name: 'read',
    text: 'select sealed, version from bench_minimal where id = $1',
    values: [n],
  });
  const row = rows[0];
  if (row === undefined) throw new Error('no row');
  JSON.parse(decryptJwe({ key, parts: splitJwe(row.sealed), aad: `row ${n}` }));
  const sealed = encryptJwe({ key, protectedHeader: header, aad: `row ${n}`, plaintext: JSON.stringify(await post(url)) });
  await pool.query({
    name: 'write',
    text: `update bench_minimal set sealed = $2, version = version + 1, expires_at = now() + interval '1 hour' where id = $1 and version = $3`,
    values: [n, sealed, row.version],
  });
}

async function prepare(pool: pg.Pool, count: number): Promise<void> {
  await pool.query(
    'create table if not exists bench_minimal (id int primary key, sealed text not null, version int not null, expires_at timestamptz)',
  );
  await pool.query('truncate bench_minimal');
  const plaintext = JSON.stringify({ access_token: 'a'.repeat(900), refresh_token: 'r'.repeat(200) });
  const sealed = Array.from({ length: count }, (_, n) => encryptJwe({ key, protectedHeader: header, aad: `row ${n}`, plaintext }));
  await pool.query('insert into bench_minimal select n - 1, s, 1, now() from unnest($1::text[]) with ordinality as q(s, n)', [sealed]);
}

async function run({ kind, url, count, inFlight, databaseUrl }: Order): Promise<number> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  // The server may stop before the last of them has said goodbye.
  pool.on('error', () => {});
  if (kind === 'minimal') await prepare(pool, count);
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < count) {
        const n = next;
        next += 1;
        if (kind === 'bare') await post(url);
        else await minimal(pool, url, n);
      }
    }),
  );
  const perSecond = (count * 1000) / (performance.now() - begun);
  await pool.end();
  return perSecond;
}

process.on('message', async (order: Order) => {
  process.send?.({ id: order.id, perSecond: await run(order) });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
