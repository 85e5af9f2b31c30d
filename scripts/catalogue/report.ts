import type { Definition } from '../../src/protocol/definition/schema.ts';
import { schemaFields, usedFields } from './fields.ts';

/** What the catalogue holds, counted. */

export type Report = {
  text: string;
  /** Fields that no definition uses: they are to be removed. */
  unused: string[];
};

/** How often each value occurs, the most frequent first. */
function counted(values: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

const section = (title: string, rows: readonly (readonly [string, number])[]) =>
  [title, ...rows.map(([name, count]) => `  ${String(count).padStart(5)}  ${name}`), ''].join('\n');

/** A complete definition, and the id of the one that it extends, which a complete one does not tell. */
export type Entry = { definition: Definition; base: string | undefined };

/** Each field of the schema, with the ids of the definitions that use it. */
export function usersOf(entries: readonly Entry[]): Map<string, string[]> {
  const users = new Map<string, string[]>(schemaFields().map((field) => [field, []]));
  for (const { definition, base } of entries) {
    for (const field of usedFields({ ...definition, extends: base })) users.get(field)?.push(definition.id);
  }
  return users;
}

const bands: readonly [string, (count: number) => boolean][] = [
  ['five or more', (count) => count >= 5],
  ['three or four', (count) => count === 3 || count === 4],
  ['two', (count) => count === 2],
  ['one', (count) => count === 1],
  ['none: from its own documentation alone', (count) => count === 0],
];

/** `sources`: the open-source libraries whose definitions of a provider were held against ours, by its id. */
export function reportOf(entries: readonly Entry[], sources: Readonly<Record<string, readonly string[]>>): Report {
  const definitions = entries.map(({ definition }) => definition);
  const users = [...usersOf(entries)];
  const unused = users.filter(([, ids]) => ids.length === 0).map(([field]) => field);
  const grants = definitions.flatMap(({ methods }) => [...new Set(Object.values(methods).map(({ grant }) => grant))]);
  const lines = [
    `${definitions.length} definitions\n`,
    section('by grant (one may have several)', counted(grants)),
    section('by status', counted(definitions.map(({ status }) => status))),
    section(
      'by where they can be checked',
      counted(definitions.map(({ documentation }) => (documentation === undefined ? 'no documentation named' : 'documentation named'))),
    ),
    section(
      'by how many open-source libraries have the provider too, besides its documentation',
      bands.map(([name, isIn]) => [
        name,
        definitions.filter(({ id }) => isIn((Object.hasOwn(sources, id) ? sources[id] : undefined)?.length ?? 0)).length,
      ]),
    ),
    section('by verified', counted(definitions.map(({ unverified }) => (unverified.length === 0 ? 'all facts verified' : 'some facts unverified')))),
    section(
      'by category (one may have several)',
      counted(definitions.flatMap(({ categories }) => (categories.length === 0 ? ['none'] : categories))),
    ),
    'fields that are not as usual: definitions, and three that show it',
    ...users
      .filter(([, ids]) => ids.length > 0)
      .map(([field, ids]) => `  ${String(ids.length).padStart(5)}  ${field.padEnd(52)} ${ids.slice(0, 3).join(', ')}`),
    '',
    ...(unused.length === 0 ? [] : ['fields that no definition uses', ...unused.map((field) => `         ${field}`), '']),
  ];
  return { text: lines.join('\n'), unused };
}
