import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Work, work } from '../command.ts';
import { FailedWork } from '../outcome.ts';
import { fieldsOf, tableOf } from '../output.ts';
import { askPatiently } from '../patience.ts';
import { createProgress } from '../progress.ts';

type Rotation = {
  id: string;
  phase: 'keys' | 'settling' | 'rows' | 'done';
  started_at: string;
  finished_at: string | null;
  total: number;
  done: number;
  problem: string | null;
  tables: { table: string; total: number; done: number; resealed: number; damaged: number; left: number }[];
  keys_destroyed: number;
};
type State = {
  provider: { kind: string; name: string };
  master_key: string | null;
  master_keys: { id: string; data_keys: number }[];
  data_keys: { current: number; retired: number };
  rotation: Rotation | null;
  damaged: { count: number; fields: { project: string; table: string; row: string; field: string; found_at: string }[] };
  rows?: { table: string; fields: { data_key: string | null; count: number }[] }[];
};

const phases: Record<Rotation['phase'], string> = {
  keys: 'keys are made and wrapped',
  settling: 'every process turns to the new keys (a minute and a half)',
  rows: 'rows are sealed anew',
  done: 'done',
};

function shownRotation(rotation: Rotation): string {
  const { phase, started_at, finished_at, total, done, problem, keys_destroyed } = rotation;
  const lines = [
    '',
    fieldsOf({ rotation: phases[phase], started_at, finished_at, rows: `${done} of ${total}`, keys_destroyed, ...(problem !== null && { problem }) }),
    '',
    tableOf(rotation.tables, ['table', 'done', 'total', 'resealed', 'damaged', 'left'], 'No row was gone through yet.'),
  ];
  return lines.join('\n');
}

function shownState({ provider, master_key, master_keys, data_keys, rotation, damaged, rows }: State): string {
  const wrapped = master_keys.map(({ id, data_keys: count }) => `${id === '' ? '(not known)' : id}: ${count}`);
  const parts = [
    fieldsOf({
      master_key,
      held_by: provider.name,
      wraps_data_keys: wrapped,
      data_keys: `${data_keys.current} current, ${data_keys.retired} retired`,
      damaged: damaged.count,
    }),
  ];
  if (rows !== undefined) {
    const counts = rows.flatMap(({ table, fields }) =>
      fields.map((each) => ({ table, data_key: each.data_key ?? 'none of ours', fields: each.count })),
    );
    parts.push('', tableOf(counts, ['table', 'data_key', 'fields'], 'Nothing is sealed.'));
  }
  if (damaged.count > 0) parts.push('', tableOf(damaged.fields, ['project', 'table', 'row', 'field', 'found_at'], ''));
  parts.push(rotation === null ? '\nThe keys were never rotated.' : shownRotation(rotation));
  return parts.join('\n');
}

const everyMs = 1_000;

/** The rotation goes on also while nobody answers. */
const readPatiently = async ({ client }: Work): Promise<Rotation | null> =>
  (await askPatiently(() => client.call<State>('GET', '/v1/encryption'))).rotation;

async function follow(on: Work, begun: Rotation): Promise<Rotation> {
  const bar = createProgress(on.json, '{bar} {value}/{total} rows, {phase}', { phase: phases[begun.phase] });
  let told = '';
  try {
    for (let rotation = begun; ; ) {
      bar?.at(rotation.done, rotation.total, { phase: rotation.problem ?? phases[rotation.phase] });
      if (bar === undefined && told !== phases[rotation.phase]) {
        told = phases[rotation.phase];
        on.out.note(told);
      }
      if (rotation.phase === 'done') return rotation;
      await sleep(everyMs);
      rotation = (await readPatiently(on)) ?? rotation;
    }
  } finally {
    bar?.stop();
  }
}

export function encryptionCommands(program: Command): void {
  const encryption = program.command('encryption').description('the keys that everything is sealed with (for the root key)');

  encryption
    .command('status')
    .description('master key, data keys, the last rotation, what does not open')
    .option('--count', 'counts what is sealed with each key: looks at every row')
    .action(
      work<[{ count?: boolean }]>(async ({ client, out }, { count }) => {
        const state = await client.call<State>('GET', '/v1/encryption', { query: { count } });
        out.result(state, () => shownState(state));
      }),
    );

  encryption
    .command('rotate')
    .description('new data keys, wrapped by the current master key; everything is sealed anew while it is in use')
    .option('--wait', 'until it is done')
    .action(
      work<[{ wait?: boolean }]>(async (on, { wait }) => {
        const begun = await on.client.call<Rotation>('POST', '/v1/encryption/rotate');
        const rotation = wait === true ? await follow(on, begun) : begun;
        on.out.result(rotation, () =>
          wait === true ? shownRotation(rotation).trimStart() : `${rotation.id} has begun: grantry encryption status tells how far it is.`,
        );
        const damaged = rotation.tables.reduce((sum, table) => sum + table.damaged, 0);
        if (rotation.phase === 'done' && rotation.problem !== null) throw new FailedWork(rotation.problem);
        if (damaged > 0) throw new FailedWork(`${damaged} sealed fields do not open: grantry encryption status names them.`);
      }),
    );
}
