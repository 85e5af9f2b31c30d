import { parseKeyRing } from '../../src/outside/key-ring.ts';
import type { Stage } from './stage.ts';

type Row = { kid: string; project_id: string; wrapped: string };

async function unwrapped({ kms, ring }: Stage, { kid, project_id, wrapped: text }: Row): Promise<Buffer> {
  const own = `own:${project_id}:`;
  if (text.startsWith(`${own}eyJ`)) return Buffer.from(await parseKeyRing(ring).unwrap(['data_key', project_id, kid], text.slice(own.length)));
  const [, key = '', wrapped] = /^kms:([\w-]+)\.(.+)$/.exec(text.replace(own, '')) ?? [];
  const answer = await fetch(`${kms.url}/unwrap`, {
    method: 'POST',
    headers: { authorization: `Bearer ${kms.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ context: ['data_key', project_id, kid], key: Buffer.from(key, 'base64url').toString(), wrapped }),
  });
  const { plaintext } = Object(await answer.json());
  return Buffer.from(plaintext, 'base64url');
}

/** The keys that seal: Postgres has them wrapped, a key service and a project's own ring can unwrap them, and nobody else has them. */
export async function noteDataKeys(stage: Stage): Promise<void> {
  const { markers, sql } = stage;
  const rows = await sql<Row>('select * from data_keys');
  for (const row of rows) {
    const bytes = await unwrapped(stage, row);
    for (const encoding of ['hex', 'base64'] as const) markers.note('data key', 'broker', bytes.toString(encoding));
  }
  if (rows.length < 2) throw new Error('There are too few data keys: they were rotated, and the old ones are kept for a day.');
}
