import { type CallOptions, type GrantryClient, UnreadableAnswer } from '../client/client.ts';

type Page = { data: Record<string, unknown>[]; next_cursor: string | null };

/** All entries of a list, page after page, up to `most`; `perPage` where a list allows more than others. */
export async function* entriesOf(
  client: GrantryClient,
  path: string,
  query: CallOptions['query'] = {},
  { most = Infinity, perPage = 100 }: { most?: number; perPage?: number } = {},
): AsyncGenerator<Record<string, unknown>> {
  let seen = 0;
  for (let cursor: string | undefined; ; ) {
    const page = await client.call<Page>('GET', path, { query: { ...query, limit: Math.min(perPage, most - seen), cursor } });
    if (!Array.isArray(page.data)) throw new UnreadableAnswer(path);
    for (const entry of page.data) {
      yield entry;
      seen += 1;
      if (seen >= most) return;
    }
    if (page.next_cursor === null) return;
    cursor = page.next_cursor;
  }
}

export async function listOf(
  client: GrantryClient,
  path: string,
  query: CallOptions['query'] = {},
  most = Infinity,
): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for await (const entry of entriesOf(client, path, query, { most })) all.push(entry);
  return all;
}
