import { once } from 'node:events';
import { createServer } from 'node:http';
import { type BackendFactory, createPostgresBackend, createRedisBackend, type IQueueBackend, withBackend } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { postgresConnections, redisConnections } from '../../src/jobs/connections.ts';
import { createLog } from '../../src/outside/log.ts';
import { startTelemetry } from '../../src/outside/telemetry.ts';
import { freePort } from '../harness/broker.ts';
import { type Place, postgresPlace, redisPlace } from '../jobs/backends.ts';

type Attribute = { key: string; value: Record<string, unknown> };
type SentSpan = { traceId: string; name: string; attributes: Attribute[]; events: { name: string; attributes: Attribute[] }[] };
type Sent = { resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: SentSpan[] }[] }[] };

/** A collector: keeps what it is sent, and answers when it `answers`. */
async function startCollector({ answers }: { answers: 'at once' | 'never' }) {
  const bodies: string[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      if (answers === 'at once') res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    bodies,
    spans: () => bodies.flatMap((body) => (JSON.parse(body) as Sent).resourceSpans.flatMap((of) => of.scopeSpans.flatMap(({ spans }) => spans))),
    end() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const told = (span: SentSpan, key: string) => Object.values(span.attributes.find((attribute) => attribute.key === key)?.value ?? {})[0];

/** Runs two jobs of which the second fails; returns their ids. */
const runJobs = ({ backend: { kind, url } }: Place): Promise<string[]> =>
  kind === 'redis' ? runJobsOn(createRedisBackend, redisConnections(url)) : runJobsOn(createPostgresBackend, postgresConnections(url));

async function runJobsOn<B extends IQueueBackend, C>(backend: BackendFactory<B, C>, connections: { queue: C; worker: C }): Promise<string[]> {
  const { Queue, Worker } = withBackend(backend);
  const options = { prefix: '{grantry-traced}', telemetry: new BullMQOtel({ tracerName: 'grantry' }) };
  const queue = new Queue('traced', { ...options, connection: connections.queue });
  const ended: string[] = [];
  const worker = new Worker(
    'traced',
    async (job) => {
      if (job.name === 'fails') throw new Error('reason-secret');
      return { result: 'result-secret' };
    },
    { ...options, connection: connections.worker },
  );
  worker.on('completed', (job) => ended.push(job.id ?? ''));
  worker.on('failed', (job) => ended.push(job?.id ?? ''));
  try {
    await queue.add('works', { token: 'payload-secret' }, { jobId: 'refresh-con_1-7' });
    await queue.add('fails', { token: 'payload-secret' }, { jobId: 'refresh-con_2-1' });
    await vi.waitFor(() => expect(ended).toHaveLength(2), { timeout: 20_000 });
  } finally {
    await worker.close();
    await queue.close();
  }
  return ended.sort();
}

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function start(endpoint: string) {
  const logged: string[] = [];
  const log = createLog('debug', { write: (line) => logged.push(line) });
  return { logged, telemetry: startTelemetry({ endpoint, serviceName: 'grantry', role: 'worker', log }) };
}

describe.each([
  ['Redis', () => redisPlace(6)],
  ['Postgres', postgresPlace],
] as const)('on %s', (_, openPlace) => {
  it('the spans of a job arrive, from its adding to its end, and say nothing but which job it was', async () => {
    const place = await openPlace();
    undo.push(() => place.leave());
    const collector = await startCollector({ answers: 'at once' });
    undo.push(collector.end);
    const { telemetry, logged } = start(`${collector.url}/`);
    const jobs = await runJobs(place);
    await telemetry.stop();

    const spans = collector.spans();
    const ofJobs = (operation: string) => spans.filter((span) => told(span, 'bullmq.queue.operation') === operation);
    const idsOf = (found: SentSpan[]) => found.map((span) => told(span, 'bullmq.job.id')).sort();
    expect(idsOf(ofJobs('add'))).toEqual(jobs);
    expect(idsOf(ofJobs('process'))).toEqual(jobs);
    for (const processed of ofJobs('process')) {
      const added = ofJobs('add').find((span) => told(span, 'bullmq.job.id') === told(processed, 'bullmq.job.id'));
      expect(processed.traceId).toBe(added?.traceId);
    }
    expect(spans.flatMap(({ events }) => events.map(({ name }) => name))).toEqual(expect.arrayContaining(['job completed', 'job failed']));
    expect(collector.bodies.join()).not.toMatch(/secret/);
    const resource = (JSON.parse(collector.bodies[0] ?? '') as Sent).resourceSpans[0]?.resource.attributes;
    expect(Object.fromEntries((resource ?? []).map(({ key, value }) => [key, Object.values(value)[0]]))).toEqual({
      'service.name': 'grantry',
      'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'grantry.role': 'worker',
    });
    expect(logged).toEqual([]);
  });
});

describe('a collector that is of no use', () => {
  async function runAndStop(endpoint: string): Promise<{ logged: string[]; printed: number; jobs: string[] }> {
    const place = await redisPlace(6);
    undo.push(() => place.leave());
    const stdout = vi.spyOn(process.stdout, 'write');
    const stderr = vi.spyOn(process.stderr, 'write');
    undo.push(() => [stdout.mockRestore(), stderr.mockRestore()]);
    const { telemetry, logged } = start(endpoint);
    const jobs = await runJobs(place);
    await telemetry.stop();
    return { logged, jobs, printed: stdout.mock.calls.length + stderr.mock.calls.length };
  }

  it('is away: the jobs run, one line says so, and nothing else is printed', async () => {
    const { logged, jobs, printed } = await runAndStop(`http://127.0.0.1:${await freePort()}`);
    expect(jobs).toHaveLength(2);
    expect(logged.map((line) => JSON.parse(line).level)).toEqual(['warn']);
    expect(logged.join()).not.toMatch(/127\.0\.0\.1|ECONN/);
    expect(printed).toBe(0);
  });

  it('hangs: the jobs run, and the stop does not wait for it', async () => {
    const collector = await startCollector({ answers: 'never' });
    undo.push(collector.end);
    const { jobs, printed } = await runAndStop(collector.url);
    expect(jobs).toHaveLength(2);
    expect(collector.bodies.length).toBeGreaterThan(0);
    expect(printed).toBe(0);
  });
});
