import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/outside/embedded-postgres.ts';
import { built } from './bundle.ts';
import { findChromium } from './chromium-program.ts';
import { ownerRole } from './owner-role.ts';
import { startTestRedis } from './redis-server.ts';
import { spawnTied } from './tied.ts';

/** One Postgres and one Redis for the whole run, and a browser looked for: what has to be installed is installed here, not in a test's time. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'grantry-test-'));
  const cleaner = spawnTied('cat > /dev/null; pid=$(head -n 1 "$1/cluster/postmaster.pid") && kill -QUIT $pid && sleep 1; rm -rf "$1"', [dataDir]);
  // Nothing has to survive the run, so nothing is flushed to the disk.
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' };
  const [postgres, { redis, stop }, chromium, dist] = await Promise.all([
    startEmbeddedPostgres({ dataDir, log: () => undefined, settings }),
    startTestRedis(),
    findChromium(),
    built(join(dataDir, 'package')),
  ]);
  await makeOwner(postgres.url);
  project.provide('dist', dist);
  project.provide('compiledProviders', join(dist, 'providers.json'));
  project.provide('postgresUrl', postgres.url);
  project.provide('redis', redis);
  project.provide('chromium', chromium);
  return async () => {
    await Promise.all([postgres.stop(), stop()]);
    await cleaner.end();
  };
}

/** The owner of all test databases, with the password of the superuser that the address holds. */
async function makeOwner(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`CREATE ROLE ${ownerRole} LOGIN PASSWORD ${client.escapeLiteral(new URL(url).password)}`);
  await client.end();
}
