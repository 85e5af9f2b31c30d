import { setTimeout as pause } from 'node:timers/promises';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Meter } from '../broker/meter.ts';
import type { Log } from '../broker/world.ts';
import { createAilingHosts } from './metrics-hosts.ts';
import { firstWords, oneOf, outcomeClass, outcomeLabel, statusLabel } from './metrics-labels.ts';
import { createLatency } from './metrics-latency.ts';
import { createReading, type Pace } from './metrics-reading.ts';

/** prom-client: what the broker counts, as Prometheus reads it. What each metric tells stands in docs/metrics.md. */

/** How the refreshes stand, over all processes. */
export type DueRefreshes = {
  /** Due now, or put off since they were. */
  due: number;
  /** Of those, due at first more than a minute ago. */
  overdue: number;
  /** How long the oldest has been due, put off or not; 0 when none is. */
  oldestOverdueS: number;
};

export type QueueDepth = { queue: string; waiting: number; active: number; delayed: number };

/** `operator` sees the hosts of all projects' providers, which may name a tenant; `project` does not. */
export type Audience = 'operator' | 'project';

export type Metrics = {
  meter: Meter;
  text(audience?: Audience): Promise<{ contentType: string; body: string }>;
};

export type MetricsOptions = Partial<Pace> & {
  /** The ids of the shipped providers: the only ones that become a label. */
  shipped: ReadonlySet<string> | ReadonlyMap<string, unknown>;
  read: () => Promise<DueRefreshes>;
  queues: () => Promise<readonly QueueDepth[]>;
  log: Log;
};

const sleepQuietly: Pace['sleep'] = (ms, signal) =>
  pause(ms, undefined, { ref: false, ...(signal && { signal }) }).then(
    () => {},
    () => {},
  );

const providerSeconds = [0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 3.5, 5, 10];
const jobSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const putOffReasons = ['host_busy', 'host_down', 'misconfigured', 'keys_away'] as const;
const webhookOutcomes = ['delivered', 'retried', 'failed', 'disabled'] as const;
const jobOutcomes = ['done', 'failed'] as const;
/** Where secrets are bound to. What waits to be revoked stays bound to its connection. */
const sealedTables = ['connections', 'integrations', 'connect_links', 'webhook_endpoints', 'idempotency_keys', 'data_keys'] as const;
const mostQueues = 16;
/** Outcomes that alerts look at. */
const alarming = ['invalid_client', 'invalid_grant'] as const;

/** The meter, and what it has counted. Has a registry of its own: two in one process do not meet. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { shipped, log, elapsedMs = () => performance.now(), sleep = sleepQuietly } = options;
  const due = createReading({ what: 'refreshes', read: options.read, log, elapsedMs, sleep });
  const depths = createReading({ what: 'queues', read: options.queues, log, elapsedMs, sleep });
  const hosts = createAilingHosts(elapsedMs);
  const tokens = createLatency(statusLabel);
  const queueLabel = firstWords(mostQueues);
  const registry = new Registry();
  const hostRegistry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const refreshes = new Counter({
    name: 'grantry_refreshes_total',
    help: 'Refreshes that were sent to a provider and have ended, by provider (own: a definition of a project) and outcome (a code).',
    labelNames: ['provider', 'outcome'],
    registers,
  });
  const refreshDuration = new Histogram({
    name: 'grantry_refresh_duration_seconds',
    help: 'How long refreshes took, by outcome: refreshed, failed (tried again), refused (not tried again).',
    labelNames: ['outcome'],
    buckets: providerSeconds,
    registers,
  });
  const putOff = new Counter({
    name: 'grantry_refreshes_put_off_total',
    help: 'Refreshes that were put off before anything was sent, by reason.',
    labelNames: ['why'],
    registers,
  });
  const leaseWaits = new Histogram({
    name: 'grantry_lease_wait_seconds',
    help: 'How long callers waited for a refresh that somebody else had begun.',
    buckets: providerSeconds,
    registers,
  });
  const webhooks = new Counter({
    name: 'grantry_webhook_deliveries_total',
    help: 'Attempts to deliver a webhook, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const webhookDuration = new Histogram({
    name: 'grantry_webhook_duration_seconds',
    help: 'How long attempts to deliver a webhook took.',
    buckets: providerSeconds,
    registers,
  });
  const jobs = new Counter({
    name: 'grantry_jobs_total',
    help: 'Jobs that this process has ended, by queue and outcome.',
    labelNames: ['queue', 'outcome'],
    registers,
  });
  const jobDuration = new Histogram({
    name: 'grantry_job_duration_seconds',
    help: 'How long jobs took, by queue.',
    labelNames: ['queue'],
    buckets: jobSeconds,
    registers,
  });

  const unopened = new Counter({
    name: 'grantry_integrity_errors_total',
    help: 'Stored secrets that did not open (altered, moved, rolled back, or sealed with a key that is not there), by table, each time.',
    labelNames: ['table'],
    registers,
  });

  const dueGauge = (name: string, help: string, pick: (refreshes: DueRefreshes) => number) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const found = await due();
        if (found === undefined) this.remove();
        else this.set(pick(found));
      },
    });
  dueGauge(
    'grantry_refreshes_due',
    'Connections whose refresh is due now, or has been put off since it was, over all processes.',
    (found) => found.due,
  );
  dueGauge(
    'grantry_refreshes_overdue',
    'Connections whose refresh was due at first more than a minute ago, over all processes.',
    (found) => found.overdue,
  );
  dueGauge(
    'grantry_refreshes_overdue_oldest_seconds',
    'For how long the longest waiting refresh has been due, over all processes.',
    (found) => found.oldestOverdueS,
  );
  new Gauge({
    name: 'grantry_queue_jobs',
    help: 'Jobs in the queues, over all processes.',
    labelNames: ['queue', 'state'],
    registers,
    async collect() {
      const found = await depths();
      this.reset();
      for (const { queue, ...states } of found ?? []) {
        for (const state of ['waiting', 'active', 'delayed'] as const) this.set({ queue: queueLabel(queue), state }, states[state]);
      }
    },
  });
  new Gauge({
    name: 'grantry_breaker_hosts',
    help: 'Hosts of providers that this process leaves alone (open) or tries again (half_open).',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(hosts.counts())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'grantry_breaker_open',
    help: 'A host of a provider that this process leaves alone (1) or tries again (0.5); at most 50 are shown, and none that works.',
    labelNames: ['host'],
    registers: [hostRegistry],
    collect() {
      this.reset();
      for (const { host, state } of hosts.shown()) this.set({ host }, state === 'open' ? 1 : 0.5);
    },
  });

  // What has not happened yet is 0 and not absent: a rate begins with the first time.
  for (const provider of [...shipped.keys(), 'own']) for (const outcome of alarming) refreshes.inc({ provider, outcome }, 0);
  for (const why of putOffReasons) putOff.inc({ why }, 0);
  for (const outcome of webhookOutcomes) webhooks.inc({ outcome }, 0);
  for (const table of sealedTables) unopened.inc({ table }, 0);
  const whyLabel = oneOf(putOffReasons);
  const webhookLabel = oneOf(webhookOutcomes);
  const jobLabel = oneOf(jobOutcomes);
  const tableLabel = oneOf(sealedTables);

  return {
    meter: {
      refreshed({ provider, outcome, ms }) {
        refreshes.inc({ provider: shipped.has(provider) ? provider : 'own', outcome: outcomeLabel(outcome) });
        refreshDuration.observe({ outcome: outcomeClass(outcome) }, ms / 1000);
      },
      putOff: (why) => putOff.inc({ why: whyLabel(why) }),
      leaseWaited: (ms) => leaseWaits.observe(ms / 1000),
      breaker: hosts.note,
      delivered({ outcome, ms }) {
        webhooks.inc({ outcome: webhookLabel(outcome) });
        webhookDuration.observe(ms / 1000);
      },
      tokenAnswered: tokens.observe,
      jobEnded(queue, outcome, ms) {
        const label = queueLabel(queue);
        for (const known of jobOutcomes) jobs.inc({ queue: label, outcome: known }, 0);
        jobs.inc({ queue: label, outcome: jobLabel(outcome) });
        jobDuration.observe({ queue: label }, ms / 1000);
      },
      unopened: (table) => unopened.inc({ table: tableLabel(table) }),
    },
    async text(audience = 'operator') {
      const parts = [await registry.metrics(), tokens.text(), ...(audience === 'operator' ? [await hostRegistry.metrics()] : [])];
      return { contentType: registry.contentType, body: parts.join('\n') };
    },
  };
}
