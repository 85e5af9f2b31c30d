import { allowanceFor } from './allowed.ts';
import type { CommandLine } from './command-line.ts';
import type { Find, Search } from './search.ts';
import { fileItems, type Item, postgresItems, redisItems } from './sinks.ts';
import type { Stage } from './stage.ts';

/** Everything that the process left anywhere, and what of it nobody may find there. */

export type Sink = { name: string; items: readonly Item[] /** How often what is packed is unpacked. */; depth: number };

const textOf = (where: string, text: string): Item => ({ where, bytes: Buffer.from(text) });

/** All sinks but the answers of the broker and what providers heard. `more`: what was gathered on the way. */
export async function collect(stage: Stage, { typed, written }: CommandLine, more: Record<string, readonly Item[]>): Promise<Sink[]> {
  const { broker, redis, postgres, directories, collector, talker } = stage;
  const cluster = await fileItems('cluster', postgres.directory);
  const isLog = ({ where }: Item) => where.endsWith('server.log');
  return [
    { name: 'logs', depth: 2, items: [textOf('printed', broker.printed.join(''))] },
    { name: 'Postgres', depth: 2, items: await postgresItems(postgres.url) },
    { name: "Postgres's log of statements and parameters", depth: 0, items: cluster.filter(isLog) },
    { name: "Postgres's files", depth: 0, items: cluster.filter((item) => !isLog(item) && item.where !== 'cluster password') },
    { name: 'Redis', depth: 2, items: await redisItems(redis.url) },
    { name: 'commands that Redis was sent', depth: 0, items: [textOf('monitor', redis.said.join('\n'))] },
    { name: "Redis's files", depth: 0, items: await fileItems('redis', redis.directory) },
    { name: 'files', depth: 2, items: await fileItems('data', directories.data) },
    { name: 'crash reports', depth: 2, items: await fileItems('report', directories.reports) },
    { name: 'traces', depth: 1, items: collector.bodies.map((bytes) => ({ where: 'trace', bytes })) },
    { name: 'referrers', depth: 2, items: talker.heard.map(({ owner, referer }) => textOf(`${owner}'s referrer`, referer)) },
    {
      name: 'command line',
      depth: 2,
      items: [
        ...typed
          .filter(({ command }) => !/^connection token|^key create/.test(command))
          .map(({ command, ran }) => textOf(command, `${ran.out}\n${ran.err}`)),
        ...(await fileItems('written', written)),
      ],
    },
    ...Object.entries(more).map(([name, items]) => ({ name, items, depth: 2 })),
  ];
}

const told = (where: string, { marker, encoding }: Find) => `${where}: ${marker.name}, ${encoding}`;

/** What is in a sink, in words; the same words once. */
export const foundIn = ({ items, depth }: Sink, search: Search): string[] => [
  ...new Set(items.flatMap(({ where, bytes }) => search(bytes, depth).map((find) => told(where, find)))),
];

/** Answers that hold what they may not; and the allowances that were made use of. */
export function foundInAnswers({ recorder }: Stage, search: Search): { found: string[]; used: Set<string> } {
  const used = new Set<string>();
  const found = new Set<string>();
  for (const answer of recorder.answers)
    for (const find of search(answer.bytes, 1)) {
      const allowance = allowanceFor(answer, find.marker.kind);
      if (allowance === undefined) found.add(told(`${answer.method} ${answer.path} ${answer.status}`, find));
      else used.add(`${allowance.what}: ${find.marker.kind}`);
    }
  return { found: [...found], used };
}

/** What a provider, a receiver or a website was told of others. */
export const foundElsewhere = ({ talker }: Stage, search: Search): string[] => [
  ...new Set(
    talker.heard.flatMap(({ owner, text }) =>
      search(Buffer.from(text), 1)
        .filter(({ marker }) => marker.owner !== owner || marker.kind === 'webhook secret')
        .map((find) => told(`to ${owner}`, find)),
    ),
  ),
];
