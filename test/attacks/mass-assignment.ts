import { endpoints } from '../../src/web/api/router.ts';
import { ask, json } from '../web/api/ask.ts';
import { type Attack, stopped, succeeded } from './attack.ts';
import type { Stage } from './stage.ts';
import { fieldNames, nameOf, parametersOf, twoProjects } from './two-projects.ts';

/** Mass assignment: columns of ours, and what others call such columns, as fields of every body. */

const planted = { text: 'planted-by-the-caller', number: 987_654_321 };
const others = ['is_admin', 'admin', 'role', 'root', 'owner', 'tenant_id', 'tenant', 'project', 'created_by', 'ciphertext', 'verified'];

/** A value for each column that would be seen in it. */
async function fieldsOfAllTables({ sql }: Stage): Promise<Record<string, unknown>> {
  const columns = await sql<{ name: string; type: string }>(
    `select distinct column_name as name, data_type as type from information_schema.columns where table_schema = 'public' and data_type not like 'timestamp%'`,
  );
  const plantedAs = (type: string) => {
    if (type === 'text') return planted.text;
    if (type === 'integer' || type === 'bigint') return planted.number;
    if (type === 'ARRAY') return [planted.text];
    return type === 'boolean' ? true : { planted: planted.text };
  };
  return Object.fromEntries([...columns.map(({ name, type }) => [name, plantedAs(type)]), ...others.map((name) => [name, planted.text])]);
}

/** Columns in which a planted value stands, as often as it stands there. */
async function plantedColumns({ sql }: Stage): Promise<string[]> {
  const tables = await sql<{ name: string }>(`select table_name as name from information_schema.tables where table_schema = 'public'`);
  const each = tables.map(({ name }) => `select '${name}.' || e.key as place, e.value::text as value from "${name}" t, jsonb_each(to_jsonb(t)) e`);
  const found = await sql<{ place: string }>(
    `select place from (${each.join(' union all ')}) c where value like '%${planted.text}%' or value like '%${planted.number}%' order by 1`,
  );
  return found.map(({ place }) => place);
}

export const massAssignment: Attack[] = [
  {
    name: 'mass assignment: every column of every table in the body of every call',
    falls: [['declared fields only']],
    async run(stage) {
      const { stranger: self } = await twoProjects(stage);
      const columns = await fieldsOfAllTables(stage);
      const before = await plantedColumns(stage);
      const taken: string[] = [];
      for (const endpoint of endpoints.filter(({ body }) => body !== undefined)) {
        const { body, headers } = self.bodyFor(endpoint);
        const own: Record<string, unknown> = typeof body === 'string' ? JSON.parse(body) : {};
        const declared = new Set(fieldNames(endpoint.body));
        const foreign = Object.fromEntries(Object.entries(columns).filter(([name]) => !declared.has(name)));
        let { path } = endpoint;
        const above: string[] = [];
        for (const { name, kind } of parametersOf(endpoint)) {
          above.push(kind === 'projects' ? self.project : await self.make(kind, above));
          path = path.replace(`:${name}`, above.at(-1) ?? '') as typeof path;
        }
        const key = endpoint.scope === 'root' ? stage.broker.rootKey : self.key;
        const request = { ...json({ ...foreign, ...own }), ...(headers && { headers }), method: endpoint.method.toUpperCase(), path, key };
        const { status } = await ask(stage.url, request);
        if (status < 300) taken.push(nameOf(endpoint));
      }
      const places = await plantedColumns(stage);
      if (places.length > before.length) return succeeded(`planted in ${[...new Set(places)].join(', ')} by ${taken.join(', ')}`);
      return stopped(taken.length > 0 ? `ignored by ${taken.length} calls` : 'refused by every call');
    },
  },
];
