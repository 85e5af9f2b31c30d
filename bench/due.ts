import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Refreshes } from '../src/broker/store.ts';
import { startEmbeddedPostgres } from '../src/outside/embedded-postgres.ts';
import { migrateDatabase, openPostgres } from '../src/outside/postgres/database.ts';
import { countsText, dueText, handOutAgainText, postponeText } from '../src/outside/postgres/refresh-statements.ts';
import { createStore } from '../src/outside/postgres/store.ts';
import { type Explained, explain, type Scan, scansOf } from './explained.ts';
import { bytesPerRow, grow, makeDue, prepare } from './growth.ts';

/**
 * What the sweep costs Postgres: one batch of 500 by EXPLAIN ANALYZE, beside an update of 500 rows of a narrow table of as many rows, in turns,
 * while the table grows. Each batch really claims, and what it claimed is refreshed as the engine does it, so that dead rows lie in its way.
 */

const most = Number(process.env.BENCH_ROWS ?? 1_000_000);
const batches = Number(process.env.BENCH_BATCHES ?? 12);
const batch = 500;
/** A hundredth, a tenth, all; the smallest has rows for every batch. */
const sizes = [most / 100, most / 10, most].map((size) => Math.max(batches * batch, Math.floor(size)));
const aimMs = 20;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const spread = (values: readonly number[]): string =>
  [Math.min(...values), median(values), Math.max(...values)].map((value) => value.toFixed(1)).join('  ');

/** A table of a few pages may be read as a whole to join what was picked; what is picked comes from the partial index at any size. */
const smallRows = 10_000;

/** What is wrong with how the rows were found: those not due must not be looked at. Picked by the partial index; entered by their key or place. */
function faultOf(explained: Explained, size: number): string | undefined {
  const scans = scansOf(explained, 'connections');
  const said = scans.map(({ node, index, rows, removed }) => `${[node, index].join(' ').trim()} (${rows} rows, ${removed} in vain)`).join(', ');
  if (!scans.some(({ index, rows }) => index === 'connections_due' && rows <= batch)) return said;
  const isLean = ({ node, index, rows, removed }: Scan) =>
    removed === 0 && rows <= batch && (node === 'Tid Scan' || index === 'connections_due' || index === 'connections_pkey');
  return size <= smallRows || scans.every(isLean) ? undefined : said;
}

/** What a worker does with a batch, without the provider. */
async function refreshAll(pool: pg.Pool, refreshes: Refreshes): Promise<number> {
  const { rows } = await pool.query<{ id: string }>(
    `select id from connections where refresh_due_at is not null and greatest(refresh_due_at, queued_until) between now() and now() + interval '1 minute'
       and queued_until > now()`,
  );
  await Promise.all(
    rows.map(async ({ id }) => {
      const view = await refreshes.read(id);
      const claim = view && (await refreshes.claim(view.connection, randomUUID()));
      if (claim === undefined) throw new Error(`${id} could not be claimed`);
      const { credential_sealed, scopes, missing_scopes, extras, refreshable, project_id, integration_id } = claim.connection;
      const about = { project_id, integration_id, connection_id: id };
      const times = { ageMs: 0, lifetimeS: 3_600, refreshLifetimeS: null, dueInS: 3_300 };
      await refreshes.commit(
        claim,
        { credential_sealed, scopes, missing_scopes, extras, refreshable, times },
        [{ ...about, type: 'connection.refreshed' }],
        {
          ...about,
          type: 'connection.recovered',
        },
      );
    }),
  );
  return rows.length;
}

type Measured = { sweep: number[]; baseline: number[]; generic: number[]; pages: number[]; plan: string; faults: Set<string> };

async function measure(pool: pg.Pool, refreshes: Refreshes, size: number): Promise<Measured> {
  const measured: Measured = { sweep: [], baseline: [], generic: [], pages: [], plan: '', faults: new Set() };
  // The pool's statements are prepared: after some runs Postgres may keep a plan that knows nothing of the parameters.
  const client = await pool.connect();
  try {
    await client.query(`prepare sweep (bigint, float8) as ${dueText}`);
    for (let n = 0; n < batches; n += 1) {
      const isGeneric = n % 3 === 2;
      await client.query(`set plan_cache_mode = ${isGeneric ? 'force_generic_plan' : 'force_custom_plan'}`);
      const sweep = await explain(client, `execute sweep (${batch}, 30)`);
      const fault = faultOf(sweep, size);
      if (fault !== undefined) measured.faults.add(`${isGeneric ? 'generic' : 'custom'} plan: ${fault}`);
      measured[isGeneric ? 'generic' : 'sweep'].push(sweep.ms);
      measured.pages.push(sweep.pages);
      if (!isGeneric)
        measured.plan = scansOf(sweep, 'connections')
          .map(({ node, index }) => [node, index].join(' ').trim())
          .join(', ');
      const ids = Array.from({ length: batch }, () => 1 + Math.floor(Math.random() * size));
      measured.baseline.push((await explain(client, `update bench_narrow set value = value + 1 where id = any('{${ids.join()}}')`)).ms);
      const refreshed = await refreshAll(pool, refreshes);
      if (refreshed !== batch) throw new Error(`${refreshed} were refreshed instead of ${batch}.`);
    }
    return measured;
  } finally {
    client.release(true);
  }
}

export async function run(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const { bavail, bsize } = await statfs(dir);
  const [free, needed] = [bavail * bsize, most * bytesPerRow + 2e9];
  process.stdout.write(`${(free / 1e9).toFixed(0)} GB are free, ${(needed / 1e9).toFixed(1)} GB are needed for ${most} connections\n`);
  if (free < needed) throw new Error('There is not enough room: set BENCH_ROWS.');
  const server = await startEmbeddedPostgres({ dataDir: dir, log: () => {} });
  const pool = new pg.Pool({ connectionString: server.url, max: 2 });
  pool.on('error', () => {});
  const postgres = openPostgres({ url: server.url, max: 10, silenceMs: 600_000, onError: () => {} });
  const { refreshes } = createStore(postgres);
  try {
    await migrateDatabase(server.url, 'drizzle');
    await prepare(pool);
    process.stdout.write(`\none sweep of ${batch}: milliseconds in Postgres (min median max of ${batches}); a third of them with a generic plan\n`);
    process.stdout.write('     rows    due   sweep                 generic plan          narrow update         ratio  pages  plan\n');
    const curve: number[] = [];
    const wrong: string[] = [];
    let before = 0;
    for (const size of sizes) {
      await pool.query('alter system set fsync = off');
      await pool.query('select pg_reload_conf()');
      await grow(pool, before, size);
      before = size;
      const due = Math.max(batches * batch, Math.min(20_000, Math.floor(size / 2)));
      await makeDue(pool, size, due);
      await pool.query('alter system reset fsync');
      await pool.query('select pg_reload_conf()');
      await pool.query('vacuum analyze');
      await pool.query('checkpoint');
      const { sweep, generic, baseline, pages, plan, faults } = await measure(pool, refreshes, size);
      curve.push(median(sweep));
      wrong.push(...[...faults].map((fault) => `at ${size} rows, ${fault}`));
      process.stdout.write(
        `${String(size).padStart(9)}  ${String(due).padStart(5)}   ${spread(sweep).padEnd(20)}  ${spread(generic).padEnd(20)}  ${spread(baseline).padEnd(20)}  ${(median(sweep) / median(baseline)).toFixed(1).padStart(5)}  ${String(median(pages)).padStart(5)}  ${plan}\n`,
      );
    }
    const [smallest = Number.NaN, , largest = Number.NaN] = curve;
    process.stdout.write(
      `\nfrom ${sizes[0]} to ${most} rows: ${(largest / smallest).toFixed(2)} times as long; the aim of ${aimMs} ms is ${largest <= aimMs ? 'met' : 'missed'} (${largest.toFixed(1)})\n`,
    );
    await measureRest(pool, most);
    await measurePutOff(pool, most);
    if (wrong.length > 0) throw new Error(`Rows that are not due were looked at: ${wrong.join('; ')}`);
  } finally {
    await pool.end();
    await postgres.close();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** What is asked now and then at the largest size: the counts for the metrics, and the return of what a wiped queue had. */
async function measureRest(pool: pg.Pool, size: number): Promise<void> {
  await makeDue(pool, size, Math.min(20_000, Math.floor(size / 2)));
  await pool.query('vacuum analyze connections');
  const client = await pool.connect();
  const report = (name: string, { ms, pages }: Explained, explained: Explained) =>
    process.stdout.write(
      `${name.padEnd(34)} ${ms.toFixed(1).padStart(7)} ms  ${String(pages).padStart(6)} pages  ${scansOf(explained, 'connections')
        .map(({ node, index, rows, removed }) => `${node} ${index ?? ''} (${rows} rows, ${removed} looked at in vain)`)
        .join(', ')}\n`,
    );
  for (const name of ['counts, cold', 'counts']) {
    const explained = await explain(client, countsText);
    report(name, explained, explained);
  }
  const take = dueText.replaceAll('$1', '2000').replaceAll('$2', '30');
  const taken = await explain(client, take);
  report('sweep of 2,000', taken, taken);
  const explained = await explain(client, handOutAgainText);
  report('hand out 2,000 again', explained, explained);
  client.release();
}

/** Sweeps beside what is put off, which has been due for longest, and beside nothing: what was put off must not be in their way. */
async function measurePutOff(pool: pg.Pool, size: number): Promise<void> {
  const putOff = Math.min(100_000, Math.floor(size * 0.8));
  const due = Math.min(Math.floor(size * 0.1), batches * batch);
  const sweeps: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
  const pages: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
  const client = await pool.connect();
  const sweepAll = async (how: 'alone' | 'beside') => {
    for (let n = 0; n < due / batch; n += 1) {
      const explained = await explain(client, dueText.replaceAll('$1', String(batch)).replaceAll('$2', '30'));
      sweeps[how].push(explained.ms);
      pages[how].push(explained.pages);
    }
  };
  await makeDue(pool, size, due);
  await pool.query('vacuum analyze connections');
  await sweepAll('alone');
  await makeDue(pool, size, putOff);
  // As the engine does it: handed out, looked at, put off, in lists; no vacuum comes to the dead rows that this leaves.
  for (let left = putOff; left > 0; left -= batch) {
    const { rows } = await client.query<{ connection_id: string; token_version: number }>(dueText, [batch, 30]);
    const lists = [rows.map((row) => row.connection_id).sort(), rows.map((row) => row.token_version), rows.map(() => 300 + 600 * Math.random())];
    await client.query(postponeText, lists);
  }
  await pool.query(
    `update connections c set refresh_due_at = now() - random() * interval '1 second', queued_until = null
     from (select id from connections where put_off_since is null order by random() limit $1) as chosen where c.id = chosen.id`,
    [due],
  );
  await sweepAll('beside');
  const counts = await explain(client, countsText);
  client.release();
  const [alone, beside] = [median(sweeps.alone), median(sweeps.beside)];
  process.stdout.write(
    `\nsweep of ${batch} beside ${putOff} that are put off: ${beside.toFixed(1)} ms and ${median(pages.beside)} pages, alone ${alone.toFixed(1)} ms and ${median(pages.alone)} pages: ${(beside / alone).toFixed(2)} times as long; counts: ${counts.ms.toFixed(1)} ms\n`,
  );
}
