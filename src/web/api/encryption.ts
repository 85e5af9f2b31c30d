import { z } from 'zod';
import { type Encryption, readEncryption } from '../../broker/encryption.ts';
import { type RotationRecord, sealedTables } from '../../broker/key-records.ts';
import { beginRotation } from '../../broker/rotate-keys.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

/** The keys, and what is sealed with them: calls of whoever runs the broker. */

const time = z.iso.datetime();
const count = z.number().int().nonnegative();

const rotation = z
  .object({
    id: z.string(),
    phase: z
      .enum(['keys', 'settling', 'rows', 'done'])
      .describe('keys: made and wrapped; settling: processes turn to them; rows: all is sealed anew; done.'),
    started_at: time,
    finished_at: time.nullable(),
    total: count.describe('Rows to go through; 0 until the phase rows.'),
    done: count,
    problem: z
      .string()
      .nullable()
      .describe('Why it does not get on right now, or which projects it had to leave out because their own master keys cannot be used.'),
    tables: z.array(
      z.object({
        table: z.enum(sealedTables),
        total: count,
        done: count,
        resealed: count.describe('Fields sealed anew.'),
        damaged: count.describe('Fields that do not open.'),
        left: count.describe('Fields that changed each time; the next look takes them.'),
      }),
    ),
    keys_destroyed: count.describe('Data keys that this rotation found no more use for.'),
  })
  .meta({ id: 'KeyRotation' });

const encryptionState = z
  .object({
    provider: z.object({ kind: z.enum(['ring', 'kms']), name: z.string() }),
    master_key: z.string().nullable().describe('Id of the one that wraps now; null while the key service does not answer.'),
    master_keys: z
      .array(z.object({ id: z.string(), data_keys: count }))
      .describe('How many data keys each has wrapped; one that is not listed is needed no more.'),
    data_keys: z.object({
      current: count,
      retired: count.describe('They open what may still be sealed with them, and are destroyed when nothing is.'),
      keys: z
        .array(
          z.object({
            id: z.string(),
            project: z.string(),
            master_key: z.string(),
            state: z.enum(['current', 'retired']),
            created_at: time,
            retired_at: time.nullable(),
          }),
        )
        .describe('The youngest hundred.'),
    }),
    rotation: rotation.nullable().describe('The last one.'),
    damaged: z.object({
      count,
      fields: z
        .array(z.object({ project: z.string(), table: z.string(), row: z.string(), field: z.string(), found_at: time }))
        .describe('A hundred at most, as of when all rows were gone through last.'),
    }),
    rows: z
      .array(z.object({ table: z.enum(sealedTables), fields: z.array(z.object({ data_key: z.string().nullable(), count })) }))
      .optional()
      .describe('With count=true: sealed fields by data key; null names no key of ours.'),
  })
  .meta({ id: 'Encryption' });

export const encryptionQuery = z.strictObject({
  count: z.enum(['true', 'false']).default('false').describe('true: counts sealed fields by data key, for which every row is looked at.'),
});

export function rotationView({ walk, phase, ...record }: RotationRecord): z.input<typeof rotation> {
  const tables = sealedTables.flatMap((table) => {
    const progress = walk[table];
    if (progress === undefined) return [];
    const { total, done, resealed, damaged, left, ended } = progress;
    return [{ table, total: ended ? done : Math.max(total, done), done, resealed, damaged, left }];
  });
  return {
    id: record.id,
    phase: phase === 'superseded' ? 'done' : phase,
    started_at: record.started_at.toISOString(),
    finished_at: record.finished_at?.toISOString() ?? null,
    total: tables.reduce((sum, { total }) => sum + total, 0),
    done: tables.reduce((sum, { done }) => sum + done, 0),
    problem: record.problem,
    tables,
    keys_destroyed: record.destroyed,
  };
}

function encryptionView({ provider, masterKey, keys, rotation: last, damaged, rows }: Encryption): z.input<typeof encryptionState> {
  return {
    provider,
    master_key: masterKey,
    master_keys: keys.masterKeys,
    data_keys: {
      current: keys.current,
      retired: keys.retired,
      keys: keys.list.map(({ kid, project_id, wrapped_by, created_at, retired_at }) => ({
        id: kid,
        project: project_id,
        master_key: wrapped_by,
        state: retired_at === null ? ('current' as const) : ('retired' as const),
        created_at: created_at.toISOString(),
        retired_at: retired_at?.toISOString() ?? null,
      })),
    },
    rotation: last === undefined ? null : rotationView(last),
    damaged: {
      count: damaged.count,
      fields: damaged.items.map(({ project_id, table_name, row_id, field, found_at }) => ({
        project: project_id,
        table: table_name,
        row: row_id,
        field,
        found_at: found_at.toISOString(),
      })),
    },
    ...(rows !== undefined && { rows }),
  };
}

export const encryption: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/encryption',
    scope: 'root',
    tag: 'Operations',
    summary: 'The keys, what is sealed with them, how far a rotation is, what does not open',
    query: encryptionQuery,
    answer: encryptionState,
    status: 200,
    handle: async ({ world, query }) => encryptionView(await readEncryption(world, { rows: query.count === 'true' ? 'counted' : 'not_counted' })),
  }),
  endpoint({
    method: 'post',
    path: '/v1/encryption/rotate',
    scope: 'root',
    tag: 'Operations',
    audit: { action: 'encryption.rotated' },
    summary: 'Change the keys: a new data key for each project, all wrapped by the current master key, everything sealed anew',
    description: 'Goes on by itself while everything works. While one runs, the answer is that one. GET /v1/encryption tells how far it is.',
    answer: rotation,
    status: 202,
    handle: async ({ world }) => rotationView(await beginRotation(world)),
  }),
];
