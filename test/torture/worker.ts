import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/outside/log.ts';
import { startBroker } from '../../src/process.ts';
import { type Point, type Watch, withFailpoints } from './failpoints.ts';
import { type Order, order, type Report } from './orders.ts';

/** The process that is tortured: a broker of role `all` that ends itself, as kill -9 would, at the point for which it is armed. */

const tell = (report: Report) => void process.send?.(report);
const never = new Promise<never>(() => {});

let armed: Extract<Order, { kind: 'arm' }> | undefined;
let left = 0;
let waiting: (() => void)[] = [];

async function reached(point: Point): Promise<void> {
  if (armed?.point !== point) return;
  left -= 1;
  if (left > 0) return;
  if (armed.act === 'die') {
    process.kill(process.pid, 'SIGKILL');
    await never;
  }
  tell({ kind: 'reached' });
  await new Promise<void>((resolve) => waiting.push(resolve));
}

const watch: Watch = {
  reached,
  swept: (handedOut) => tell({ kind: 'swept', handedOut }),
  handedOutAgain: () => tell({ kind: 'handed_out_again' }),
};

async function start(): Promise<void> {
  const config = readConfig(process.env);
  const broker = await startBroker({
    config,
    log: createLog(config.logLevel),
    packageRoot: dirname(dirname(fileURLToPath(import.meta.url))),
    adapt: (world) => withFailpoints(world, watch),
  });
  process.once('SIGTERM', async () => {
    await broker.stop();
    process.exit(0);
  });
  tell({ kind: 'ready', port: broker.address?.port ?? 0 });
}

process.on('message', (message) => {
  const given = order.parse(message);
  if (given.kind === 'start') {
    start().catch((error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    });
  } else if (given.kind === 'arm') {
    armed = given;
    left = given.nth;
    tell({ kind: 'armed' });
  } else {
    armed = undefined;
    for (const goOn of waiting) goOn();
    waiting = [];
  }
});
// Nobody is left to give orders.
process.on('disconnect', () => process.exit(1));

// What a start needs is loaded before it.
await Promise.all([import('../../src/jobs/start.ts'), import('../../src/jobs/queues.ts'), import('bullmq')]);
tell({ kind: 'loaded' });
