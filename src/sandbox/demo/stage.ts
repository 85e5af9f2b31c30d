import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createGrantryClient, type GrantryClient } from '../../client/client.ts';
import { readConfig } from '../../config.ts';
import { createLog } from '../../outside/log.ts';
import { type RunningBroker, startBroker } from '../../process.ts';
import { type Sandbox, startSandbox } from '../sandbox.ts';
import { type Integrator, startIntegrator } from './integrator.ts';

/** Everything the demo plays on: the broker on embedded Postgres, the sandbox providers, an integrator's website. */

export type Stage = {
  broker: RunningBroker;
  sandbox: Sandbox;
  integrator: Integrator;
  admin: GrantryClient;
  /** Only asks for links. */
  integration: GrantryClient;
  /** Only fetches tokens. */
  worker: GrantryClient;
  close(): Promise<void>;
};

const packageRoot = fileURLToPath(new URL('../../..', import.meta.url));

async function freePort(wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    const server = createServer();
    const found = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined));
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : undefined);
      });
    });
    await new Promise((resolve) => server.close(resolve));
    if (found !== undefined) return found;
  }
  throw new Error('There is no free port on 127.0.0.1.');
}

async function keyFor(admin: GrantryClient, baseUrl: string, name: string, scope: string): Promise<GrantryClient> {
  const { key } = await admin.call<{ key: string }>('POST', '/v1/api-keys', { body: { name, scopes: [scope] } });
  return createGrantryClient({ baseUrl, apiKey: key });
}

export async function setStage(): Promise<Stage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'grantry-demo-'));
  const port = await freePort(3000);
  const config = readConfig({
    GRANTRY_DATA_DIR: dataDir,
    GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
    PORT: String(port),
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent',
  });
  const closers: (() => Promise<unknown>)[] = [() => rm(dataDir, { recursive: true, force: true })];
  const close = async () => {
    for (const closer of closers.reverse()) await closer();
  };
  try {
    const broker = await startBroker({ config, log: createLog(config.logLevel), packageRoot });
    closers.push(broker.stop);
    const sandbox = await startSandbox({ publicUrl: broker.publicUrl });
    closers.push(sandbox.stop);
    const integrator = await startIntegrator();
    closers.push(integrator.stop);
    const admin = createGrantryClient({ baseUrl: broker.publicUrl, apiKey: broker.rootKey });
    const integration = await keyFor(admin, broker.publicUrl, 'Acme website', 'connect');
    const worker = await keyFor(admin, broker.publicUrl, 'Acme workers', 'tokens');
    await admin.call('PATCH', '/v1/projects/default', { body: { name: 'Acme', return_urls: [] } });
    return { broker, sandbox, integrator, admin, integration, worker, close };
  } catch (error) {
    await close();
    throw error;
  }
}
