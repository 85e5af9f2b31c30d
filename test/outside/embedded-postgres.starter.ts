/** A process of its own that starts the server in the given data directory, says its URL, and then lives until it is killed or its input ends. */
import { startEmbeddedPostgres } from '../../src/outside/embedded-postgres.ts';

const server = await startEmbeddedPostgres({ dataDir: String(process.argv[2]), log: () => undefined, settings: { fsync: 'off' } });
process.stdout.write(`${server.url}\n`);
process.stdin.resume().on('end', async () => {
  await server.stop();
  process.exit(0);
});
