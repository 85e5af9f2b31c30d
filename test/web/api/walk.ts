import { expect } from 'vitest';
import type { GrantryClient } from '../../../src/client/client.ts';

export type Shown = Record<string, unknown>;
export type Listed<T = Shown> = { data: T[]; next_cursor: string | null };

/** Every item, page by page. */
export async function walk(client: GrantryClient, path: string, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 200; pages += 1) {
    const { data, next_cursor } = await client.call<Listed<{ id: string }>>('GET', path, { query: { limit, cursor } });
    expect(data.length).toBeLessThanOrEqual(limit);
    ids.push(...data.map(({ id }) => id));
    if (next_cursor === null) return ids;
    cursor = next_cursor;
  }
  throw new Error('no end');
}
