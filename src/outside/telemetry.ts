import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { context, type DiagLogger, DiagLogLevel, diag, propagation, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor, NodeTracerProvider, type ReadableSpan, type SpanProcessor, type TracerConfig } from '@opentelemetry/sdk-trace-node';
import type { Log } from '../broker/world.ts';
import { withoutEnd } from '../protocol/without-end.ts';

/** OpenTelemetry: spans of the jobs go to a collector (OTLP over HTTP). To be loaded only when there is one: it takes a while. */

export type Telemetry = {
  /** Sends what is left, for up to two seconds. */
  stop(): Promise<void>;
};

export type TelemetryOptions = {
  /** Base URL of the collector, such as http://localhost:4318. */
  endpoint: string;
  serviceName: string;
  role: string;
  log: Log;
};

const stopMs = 2_000;
const complaintEveryMs = 60_000;

/** What a span may say: which job of which queue, and how often it was tried. Results, reasons and messages of errors are not among it. */
const told: ReadonlySet<string> = new Set([
  'bullmq.queue.name',
  'bullmq.queue.operation',
  'bullmq.job.id',
  'bullmq.job.name',
  'bullmq.job.attempts.made',
  'bullmq.job.bulk.count',
  'bullmq.job.scheduler.id',
  'bullmq.job.processed.timestamp',
  'bullmq.job.attempt_finished_timestamp',
  'bullmq.worker.id',
  'bullmq.worker.stalled.jobs',
  'exception.type',
]);

function prune(attributes: Record<string, unknown> | undefined): void {
  for (const name of Object.keys(attributes ?? {})) if (!told.has(name)) delete attributes?.[name];
}

/** Stands before the one that sends. */
const pruning: SpanProcessor = {
  onStart() {},
  onEnd(span: ReadableSpan) {
    prune(span.attributes);
    for (const event of span.events) prune(event.attributes);
  },
  forceFlush: async () => {},
  shutdown: async () => {},
};

/** The library's own complaints, whose texts hold addresses and answers: only that there are some, once a minute. */
function quietly(log: Log): DiagLogger {
  let saidMs: number | undefined;
  const complain = () => {
    if (saidMs !== undefined && performance.now() - saidMs < complaintEveryMs) return;
    saidMs = performance.now();
    log.warn({}, 'traces are not taken by the collector; those that wait too long are dropped');
  };
  return { error: complain, warn: complain, info() {}, debug() {}, verbose() {} };
}

/** Made by hand: the library's own way would add the command line's and the machine's names. */
function resourceOf(attributes: Record<string, string>): NonNullable<TracerConfig['resource']> {
  const resource = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes).map(([name, value]): [string, string] => [name, value]),
  };
  return resource;
}

/**
 * Makes the spans of this process real. Sampling and batching follow the standard's variables (`OTEL_TRACES_SAMPLER`, `OTEL_BSP_...`), headers for
 * the collector too. A collector that is away costs the jobs nothing: spans wait in a bounded buffer, and are dropped when it is full.
 */
export function startTelemetry({ endpoint, serviceName, role, log }: TelemetryOptions): Telemetry {
  diag.setLogger(quietly(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const exporter = new OTLPTraceExporter({ url: `${withoutEnd(endpoint, '/')}/v1/traces`, timeoutMillis: stopMs });
  const provider = new NodeTracerProvider({
    resource: resourceOf({ 'service.name': serviceName, 'service.instance.id': randomUUID(), 'grantry.role': role }),
    spanProcessors: [pruning, new BatchSpanProcessor(exporter, { exportTimeoutMillis: stopMs })],
  });
  provider.register();
  return {
    async stop() {
      const patience = new AbortController();
      const late = pause(stopMs, undefined, { signal: patience.signal }).catch(() => {});
      await Promise.race([provider.shutdown().catch(() => diag.warn('')), late]);
      patience.abort();
      trace.disable();
      context.disable();
      propagation.disable();
      diag.disable();
    },
  };
}
