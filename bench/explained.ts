import type { ClientBase } from 'pg';
import { z } from 'zod';

/** What EXPLAIN ANALYZE says of a statement, which it really carries out. */

type Node = {
  'Node Type': string;
  'Relation Name'?: string | undefined;
  'Index Name'?: string | undefined;
  'Actual Rows': number;
  'Rows Removed by Filter'?: number | undefined;
  'Rows Removed by Index Recheck'?: number | undefined;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Node[] | undefined;
};
const node: z.ZodType<Node> = z.object({
  'Node Type': z.string(),
  'Relation Name': z.string().optional(),
  'Index Name': z.string().optional(),
  'Actual Rows': z.number(),
  'Rows Removed by Filter': z.number().optional(),
  'Rows Removed by Index Recheck': z.number().optional(),
  'Shared Hit Blocks': z.number(),
  'Shared Read Blocks': z.number(),
  get Plans() {
    return z.array(node).optional();
  },
});
const answer = z.tuple([z.object({ Plan: node, 'Execution Time': z.number() })]);

/** `pages`: of tables and indexes that were looked at, in memory or not. */
export type Explained = { ms: number; pages: number; plan: Node };

export async function explain(client: ClientBase, statement: string): Promise<Explained> {
  const { rows } = await client.query<{ 'QUERY PLAN': unknown }>(`explain (analyze, buffers, format json) ${statement}`);
  const [{ Plan: plan, 'Execution Time': ms }] = answer.parse(rows[0]?.['QUERY PLAN']);
  return { ms, plan, pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'] };
}

/** How a table was entered: `rows` each time, `removed`: those looked at in vain. */
export type Scan = { node: string; index: string | undefined; rows: number; removed: number };

export function scansOf({ plan }: Pick<Explained, 'plan'>, table: string): Scan[] {
  const below = (plan.Plans ?? []).flatMap((each) => scansOf({ plan: each }, table));
  if (plan['Relation Name'] !== table || !plan['Node Type'].includes('Scan')) return below;
  const removed = (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0);
  return [{ node: plan['Node Type'], index: plan['Index Name'], rows: plan['Actual Rows'], removed }, ...below];
}
