import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Spill, Spilled } from '../broker/spill.ts';
import type { Log } from '../broker/world.ts';

/** The spill as files: one per connection and version, mode 0600, whole or not there, on the disk before `keep` resolves. */

const seconds = z.number().nullable();
/** It is part of a file's name. */
const connectionId = z.string().regex(/^[a-z0-9_]{1,64}$/);
const spilled = z.object({
  project_id: z.string(),
  integration_id: z.string(),
  method: z.string(),
  inputs_sealed: z.string().nullable(),
  connection_id: connectionId,
  token_version: z.number().int().positive(),
  lease: z.uuid(),
  stored: z.object({
    credential_sealed: z.string(),
    scopes: z.array(z.string()),
    missing_scopes: z.array(z.string()),
    extras: z.record(z.string(), z.string()),
    refreshable: z.boolean(),
    times: z.object({ lifetimeS: seconds, refreshLifetimeS: seconds, dueInS: seconds }),
  }),
  sent_at: z.iso.datetime(),
});

/** Opens the spill in `dir`, which is made at the first use. */
export function createSpill({ dir, log }: { dir: string; log: Log }): Spill {
  const nameOf = ({ connection_id, token_version }: Pick<Spilled, 'connection_id' | 'token_version'>) =>
    `${connectionId.parse(connection_id)}-${token_version}.json`;

  async function read(name: string): Promise<Spilled | undefined> {
    try {
      const record = spilled.parse(JSON.parse(await readFile(join(dir, name), 'utf8')));
      // Under another name it could never be removed.
      if (nameOf(record) !== name) throw new Error('It is named otherwise.');
      return record;
    } catch {
      log.error({ file: name }, 'a spilled credential cannot be read');
      return undefined;
    }
  }

  return {
    async keep(record) {
      const path = join(dir, nameOf(record));
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const draft = `${path}.${process.pid}.draft`;
      try {
        const file = await open(draft, 'w', 0o600);
        try {
          await file.writeFile(JSON.stringify(record));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(draft, path);
      } catch (error) {
        await rm(draft, { force: true }).catch(() => {});
        throw error;
      }
      // The name is on the disk when the directory is.
      const directory = await open(dir, 'r');
      await directory.sync().finally(() => directory.close());
    },
    async drop(record) {
      await rm(join(dir, nameOf(record)), { force: true }).catch(() =>
        log.error({ connection: record.connection_id }, 'a spilled credential could not be removed'),
      );
    },
    async list() {
      const names = await readdir(dir).catch((): string[] => []);
      const found: Spilled[] = [];
      for (const name of names.filter((each) => each.endsWith('.json'))) {
        const record = await read(name);
        if (record !== undefined) found.push(record);
      }
      return found;
    },
  };
}
