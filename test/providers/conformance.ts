import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Definition } from '../../src/protocol/definition/schema.ts';
import { catalogue } from './catalogue.ts';
import { type Stage, startStage } from './walk.ts';

/**
 * Conformance of every definition: each method is walked from the connect link to the revocation, and what was sent is compared with a
 * snapshot that somebody has held against the provider's documentation (`npx vitest run test/providers -u` writes them anew: review the difference).
 */

export const snapshotOf = (id: string): string => new URL(`./snapshots/${id}.txt`, import.meta.url).pathname;

/** The tests of one share of the catalogue; shares run beside each other. */
export async function conformanceTests(share: number, shares: number): Promise<void> {
  const definitions = [...(await catalogue()).values()].filter((_, index) => index % shares === share);
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage();
  });
  afterAll(() => stage?.stop());

  test.each(definitions.map((definition): [string, Definition] => [definition.id, definition]))('%s', async (id, definition) => {
    const parts: string[] = [];
    for (const [name, { grant }] of Object.entries(definition.methods)) parts.push(`# ${name} (${grant})\n${await stage.walk(definition, name)}\n`);
    // Without one the first run would only write it.
    expect(process.env.CI === undefined || existsSync(snapshotOf(id))).toBe(true);
    await expect(parts.join('\n')).toMatchFileSnapshot(snapshotOf(id));
  });
}
