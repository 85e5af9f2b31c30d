/**
 * The health check of the image: exit code 0 or 1. A web process must answer /readyz; a worker has no port, so its database must answer.
 */
const { GRANTRY_ROLE, DATABASE_URL, PORT } = process.env;

async function webIsReady() {
  const answer = await fetch(`http://127.0.0.1:${PORT || 3000}/readyz`, { signal: AbortSignal.timeout(4_000) });
  if (!answer.ok) throw new Error(`/readyz answered ${answer.status}.`);
}

async function databaseAnswers() {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: DATABASE_URL, connectionTimeoutMillis: 4_000, query_timeout: 4_000 });
  client.on('error', () => {});
  await client.connect();
  await client.query('select 1');
  await client.end();
}

try {
  await (GRANTRY_ROLE === 'worker' ? databaseAnswers() : webIsReady());
} catch (error) {
  // Neither the message of a database error nor its parameters: a URL with a password may be in there.
  console.error(`Not healthy: ${error instanceof Error ? (error.cause?.code ?? error.code ?? error.name) : 'unknown'}`);
  process.exitCode = 1;
}
