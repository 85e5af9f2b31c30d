import type { Stage } from './stage.ts';

/** The keys that seal: Postgres has them wrapped, the key service can unwrap them, and nobody else has them. */
export async function noteDataKeys({ markers, kms, sql }: Stage): Promise<void> {
  const rows = await sql<{ kid: string; project_id: string; wrapped: string }>('select * from data_keys');
  for (const { kid, project_id, wrapped: text } of rows) {
    const [, key = '', wrapped] = /^kms:([\w-]+)\.(.+)$/.exec(text) ?? [];
    const answer = await fetch(`${kms.url}/unwrap`, {
      method: 'POST',
      headers: { authorization: `Bearer ${kms.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ context: ['data_key', project_id, kid], key: Buffer.from(key, 'base64url').toString(), wrapped }),
    });
    const { plaintext } = Object(await answer.json());
    const bytes = Buffer.from(plaintext, 'base64url');
    for (const encoding of ['hex', 'base64'] as const) markers.note('data key', 'broker', bytes.toString(encoding));
  }
  if (rows.length < 2) throw new Error('There are too few data keys: they were rotated, and the old ones are kept for a day.');
}
