import type pg from 'pg';

/** A table of connections that grows: rows as wide as real ones, 2 KB of text each that does not compress. */

/** What one connection takes on the disk, its indexes, the write-ahead log while it is made and the narrow table beside it; measured. */
export const bytesPerRow = 4_500;

/** The tables beside the connections: texts to take from, and the narrow rows of the baseline. */
export async function prepare(pool: pg.Pool): Promise<void> {
  await pool.query(`insert into projects (id, name) values ('default', 'Bench')`);
  await pool.query('create table bench_narrow (id int primary key, value int not null)');
  await pool.query('create table bench_texts (n int primary key, sealed text not null)');
  // Base64 of hashes, as a JWE is base64 of a ciphertext. Each value lies in a row of its own, so that a thousand of them will do.
  await pool.query(`
    insert into bench_texts (n, sealed)
    select n, (select left(string_agg(translate(encode(sha512(convert_to(n || '/' || part, 'UTF8')), 'base64'), E'\\n', ''), '' order by part), 2048)
      from generate_series(1, 24) as part)
    from generate_series(0, 999) as n`);
}

/** Adds rows up to `to`; the token of none ends in the next three minutes, and each in the hour after. */
export async function grow(pool: pg.Pool, from: number, to: number): Promise<void> {
  const step = 50_000;
  for (let first = from + 1; first <= to; first += step) {
    const range = [first, Math.min(to, first + step - 1)];
    await pool.query(
      `insert into connections (id, project_id, integration_id, provider_id, method, end_user, end_user_id, organization_id, status, requested_scopes,
         scopes, credential_sealed, token_version, issued_at, expires_at, refreshable, refresh_due_at, metadata, extras, account)
       select 'con_' || lpad(to_hex(c.n), 10, '0') || left(md5(c.n::text), 16), 'default', 'bench' || c.n % 20, 'bench', 'web',
         jsonb_build_object('id', 'user-' || c.n, 'organization_id', 'org-' || c.n % 5000), 'user-' || c.n, 'org-' || c.n % 5000, 'active',
         '{read,write,offline_access}', '{read,write,offline_access}', t.sealed, 1, now(), due.at + interval '5 minutes', true, due.at,
         '{"plan": "team", "region": "eu-central-1"}', '{}', 'user-' || c.n || '@example.com'
       from generate_series($1::int, $2::int) as c (n) join bench_texts t on t.n = c.n % 1000,
         lateral (select now() + interval '3 minutes' + random() * interval '1 hour' + c.n * interval '0 seconds' as at) as due`,
      range,
    );
    await pool.query('insert into bench_narrow select n, 0 from generate_series($1::int, $2::int) as n', range);
  }
}

/** Makes so many rows due now, anywhere in the table, and all others not. */
export async function makeDue(pool: pg.Pool, rows: number, due: number): Promise<void> {
  await pool.query(
    `update connections set refresh_due_at = now() + interval '3 minutes' + random() * interval '1 hour', queued_until = null, put_off_since = null
     where put_off_since is not null or (refresh_due_at is not null and refresh_due_at <= now() + interval '1 minute')`,
  );
  await pool.query(
    `update connections c set refresh_due_at = now() - random() * interval '1 minute', queued_until = null
     from (select 'con_' || lpad(to_hex(n), 10, '0') || left(md5(n::text), 16) as id from generate_series(1, $1::int) as n order by random() limit $2) as chosen
     where c.id = chosen.id`,
    [rows, due],
  );
}
