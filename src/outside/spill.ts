import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Spill, Spilled } from '../broker/spill.ts';
import type { Log } from '../broker/world.ts';

/** The spill as files: one per connection and version, mode 0600, whole or not there, on the disk before `keep` resolves. */

const seconds = z.number().nullable();
const spilled = z.object({
  project_id: z.string(),
  connection_id: z.string().regex(/^[a-z0-9_]{1,64}$/),
  token_version: z.number().int().positive(),
  lease: z.uuid(),
  stored: z.object({
    credential_sealed: z.string(),
    scopes: z.array(z.string()),
    extras: z.record(z.string(), z.string()),
    refreshable: z.boolean(),
    times: z.object({ lifetimeS: seconds, refreshLifetimeS: seconds, dueInS: seconds }),
  }),
  sent_at: z.iso.datetime(),
});

/** Opens the spill in `dir`, which is made at the first use. */
export function createSpill({ dir, log }: { dir: string; log: Log }): Spill {
  const pathOf = ({ connection_id, token_version }: Pick<Spilled, 'connection_id' | 'token_version'>) =>
    join(dir, `${connection_id}-${token_version}.json`);

  async function read(name: string): Promise<Spilled | undefined> {
    try {
      return spilled.parse(JSON.parse(await readFile(join(dir, name), 'utf8')));
    } catch {
      log.error({ file: name }, 'a spilled credential cannot be read');
      return undefined;
    }
  }

  return {
    async keep(record) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const path = pathOf(record);
      const draft = `${path}.${process.pid}.draft`;
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(record));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      // The name is on the disk when the directory is.
      const directory = await open(dir, 'r');
      await directory.sync().finally(() => directory.close());
    },
    async drop(record) {
      await rm(pathOf(record), { force: true }).catch(() =>
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
