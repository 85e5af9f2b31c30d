import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Item } from './sinks.ts';
import { type Stage, until } from './stage.ts';

/** Starts that fail, each with a secret in the setting that is wrong; and an end that nobody foresaw. */

async function startWith(stage: Stage, changed: Record<string, string>): Promise<Item> {
  const { bundle, env, directories } = stage;
  const { NODE_OPTIONS: _, ...usual } = env;
  const child = spawn(process.execPath, [bundle.program], {
    cwd: directories.work,
    env: { PATH: process.env.PATH ?? '', GRANTRY_ALLOW_PRIVATE_HOSTS: 'true', ...usual, PORT: '0', METRICS_PORT: '0', ...changed },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = await once(child, 'close');
  if (code !== 1) throw new Error(`A start with a wrong ${Object.keys(changed)} ended with ${code}: ${Buffer.concat(chunks)}`);
  return { where: `failed start, ${Object.keys(changed)}`, bytes: Buffer.concat(chunks) };
}

/** What was printed by processes that could not start. */
export async function playFailedStarts(stage: Stage): Promise<Item[]> {
  const { markers, postgres, env, directories } = stage;
  const alone = { GRANTRY_KMS_URL: '', GRANTRY_KMS_TOKEN_FILE: '', GRANTRY_KMS_ALLOW_PRIVATE_HOST: '' };
  const lost = () => markers.make('misplaced secret', 'broker');
  const given = async (name: string, text: string) => {
    const path = join(directories.work, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const elsewhere = new URL(postgres.url);
  elsewhere.password = lost();
  const otherKey = Buffer.from(lost()).toString('base64url').padEnd(43, 'A').slice(0, 42).concat('A');
  markers.note('master key', 'other', otherKey);
  const faults: Record<string, string>[] = [
    { DATABASE_URL: elsewhere.href },
    { ...alone, GRANTRY_KEYS: JSON.stringify({ keys: [{ kty: 'oct', kid: 'other', k: otherKey }] }) },
    { ...alone, GRANTRY_KEYS: '', GRANTRY_KEYS_FILE: await given('keys', `{"keys": [{"kty": "oct", "kid": "x", "k": "${lost()}"}]}`) },
    { GRANTRY_PROJECT_KEYS_FILE: await given('project-keys', `{"x": {"keys": [{"kty": "oct", "kid": "x", "k": "${lost()}"}]}, "y": "${lost()}"}`) },
    {
      GRANTRY_PROJECT_KEYS_FILE: await given('project-urls', `{"x": {"service": {"url": "https://user:${lost()}@x/?${lost()}", "token_file": "x"}}}`),
    },
    { GRANTRY_KMS_TOKEN_FILE: await given('wrong-token', lost()) },
    { GRANTRY_KMS_TOKEN_FILE: await given('no-token', `${lost()} ${lost()}`) },
    { GRANTRY_KMS_URL: `https://user:${lost()}@kms.example/v1?token=${lost()}` },
    {
      DATABASE_URL: `postgres//user:${lost()}@x`,
      REDIS_URL: `http://user:${lost()}@x`,
      GRANTRY_KEYS: `{"keys": [{"k": "${lost()}"}]}`,
      GRANTRY_ROOT_KEY: `short ${lost()}`,
      PUBLIC_URL: `https://user:${lost()}@x/`,
      LOG_LEVEL: lost(),
      OTEL_EXPORTER_OTLP_ENDPOINT: `x:${lost()}`,
    },
  ];
  return Promise.all(faults.map((changed) => startWith(stage, { ...changed, GRANTRY_DATA_DIR: `${env.GRANTRY_DATA_DIR}/other` })));
}

/** A report on demand, a promise that nobody handles, and an exception that nobody catches: the process ends, and what it leaves are texts. */
export async function playCrash({ broker, directories, metricsUrl }: Stage): Promise<{ metrics: Item; code: number | null }> {
  const metrics = { where: 'metrics', bytes: Buffer.from(await (await fetch(metricsUrl)).text()) };
  const reports = async (count: number) =>
    until(
      () => readdir(directories.reports),
      (names) => names.length >= count,
    );
  broker.process.kill('SIGUSR2');
  await reports(1);
  broker.process.kill('SIGWINCH');
  await until(
    () => broker.printed.join(''),
    (text) => text.includes('a promise was left unhandled'),
  );
  const exited = once(broker.process, 'exit');
  broker.process.kill('SIGURG');
  const [code] = await exited;
  await reports(2);
  return { metrics, code };
}
