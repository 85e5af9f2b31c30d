import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Meter } from '../../src/broker/meter.ts';
import { createCounted } from './metrics-kit.ts';

type Refresh = Parameters<Meter['refreshed']>[0];

it('counts what it is told', async () => {
  const { meter, series } = createCounted();
  meter.refreshed({ provider: 'gitlab', outcome: 'refreshed', ms: 40 });
  meter.refreshed({ provider: 'gitlab', outcome: 'invalid_grant', ms: 40 });
  meter.refreshed({ provider: 'own', outcome: 'provider_unavailable', ms: 40 });
  meter.putOff('host_down');
  meter.leaseWaited(30);
  meter.delivered({ outcome: 'retried', ms: 30 });
  meter.jobEnded('refresh', 'done', 7);
  meter.unopened('connections');
  meter.tokenAnswered(200, 0.7);
  meter.tokenAnswered(409, 70_000);
  expect(await series()).toMatchObject({
    'grantry_refreshes_total{provider="gitlab",outcome="refreshed"}': 1,
    'grantry_refreshes_total{provider="gitlab",outcome="invalid_grant"}': 1,
    'grantry_refreshes_total{provider="own",outcome="provider_unavailable"}': 1,
    'grantry_refresh_duration_seconds_bucket{le="0.05",outcome="refreshed"}': 1,
    'grantry_refresh_duration_seconds_count{outcome="refused"}': 1,
    'grantry_refresh_duration_seconds_count{outcome="failed"}': 1,
    'grantry_refreshes_put_off_total{why="host_down"}': 1,
    'grantry_refreshes_put_off_total{why="misconfigured"}': 0,
    grantry_lease_wait_seconds_sum: 0.03,
    'grantry_webhook_deliveries_total{outcome="retried"}': 1,
    grantry_webhook_duration_seconds_count: 1,
    'grantry_jobs_total{queue="refresh",outcome="done"}': 1,
    'grantry_jobs_total{queue="refresh",outcome="failed"}': 0,
    'grantry_job_duration_seconds_sum{queue="refresh"}': 0.007,
    'grantry_integrity_errors_total{table="connections"}': 1,
    'grantry_integrity_errors_total{table="data_keys"}': 0,
    'grantry_token_requests_total{status="200"}': 1,
    'grantry_token_requests_total{status="409"}': 1,
    'grantry_token_duration_seconds_bucket{le="0.0005"}': 0,
    'grantry_token_duration_seconds_bucket{le="0.001"}': 1,
    'grantry_token_duration_seconds_bucket{le="30"}': 1,
    'grantry_token_duration_seconds_bucket{le="+Inf"}': 2,
    grantry_token_duration_seconds_count: 2,
  });
});

it('what alerts look at is there before it happens', async () => {
  expect(await createCounted().series('grantry_refreshes_total')).toEqual(
    Object.fromEntries(
      ['gitlab', 'salesforce', 'own'].flatMap((provider) =>
        ['invalid_client', 'invalid_grant'].map((outcome) => [`grantry_refreshes_total{provider="${provider}",outcome="${outcome}"}`, 0]),
      ),
    ),
  );
});

it('nobody can invent series: floods of providers, hosts, codes, queues and statuses change their number by a few', async () => {
  const { meter, series } = createCounted();
  const before = Object.keys(await series()).length;
  for (let n = 0; n < 10_000; n += 1) {
    const invented = `invented-${n}`;
    meter.refreshed({ provider: invented, outcome: invented as Refresh['outcome'], ms: 1 });
    meter.putOff(invented as 'host_busy');
    meter.breaker(`${invented}.example.com`, n % 2 === 0 ? 'open' : 'half_open');
    meter.delivered({ outcome: invented as 'failed', ms: 1 });
    meter.tokenAnswered(1_000 + n, 1);
    meter.jobEnded(invented, invented as 'done', 1);
    meter.unopened(invented);
  }
  const after = await series();
  // 50 hosts; 16 queues and `other`, each with 16 series of a histogram, 3 outcomes and `other`; the rest is one `other` each.
  expect(Object.keys(after).length - before).toBeLessThanOrEqual(50 + 17 * 20 + 30);
  expect(after).toMatchObject({
    'grantry_refreshes_total{provider="own",outcome="other"}': 10_000,
    'grantry_token_requests_total{status="other"}': 10_000,
    'grantry_integrity_errors_total{table="other"}': 10_000,
    'grantry_breaker_hosts{state="open"}': 5_000,
    'grantry_breaker_hosts{state="half_open"}': 5_000,
  });
  expect(Object.keys(await series('grantry_breaker_open{'))).toHaveLength(50);
});

it('a host leaves when it is well, and when nobody has asked for it in ten minutes', async () => {
  const { meter, series, pass } = createCounted();
  meter.breaker('a.example.com', 'open');
  pass(599_000);
  meter.breaker('b.example.com', 'open');
  meter.breaker('c.example.com', 'open');
  meter.breaker('c.example.com', 'half_open');
  const name = (host: string) => `grantry_breaker_open{host="${host}.example.com"}`;
  expect(await series('grantry_breaker_open')).toEqual({ [name('a')]: 1, [name('b')]: 1, [name('c')]: 0.5 });
  meter.breaker('c.example.com', 'closed');
  pass(1_000);
  expect(await series('grantry_breaker_')).toEqual({
    [name('b')]: 1,
    'grantry_breaker_hosts{state="open"}': 1,
    'grantry_breaker_hosts{state="half_open"}': 0,
  });
});

it('the hosts of all projects are for the operator', async () => {
  const { meter, text } = createCounted();
  meter.breaker('acme.example.com', 'open');
  expect((await text('operator')).body).toContain('acme.example.com');
  expect((await text('project')).body).toContain('grantry_breaker_hosts{state="open"} 1');
  expect((await text('project')).body).not.toContain('acme');
});

it('what lives in the database is read at most once in five seconds, however often somebody looks', async () => {
  let reads = 0;
  const counted = createCounted({ read: async () => ({ due: ++reads, overdue: 3, oldestOverdueS: 90.5 }) });
  const due = async () => (await counted.series('grantry_refreshes_due'))['grantry_refreshes_due'];
  expect(await Promise.all([due(), due(), due()])).toEqual([1, 1, 1]);
  counted.pass(4_999);
  expect(await due()).toBe(1);
  counted.pass(1);
  expect(await due()).toBe(2);
  expect(await counted.series('grantry_refreshes_overdue')).toEqual({ grantry_refreshes_overdue: 3, grantry_refreshes_overdue_oldest_seconds: 90.5 });
});

const readFromElsewhere = /^grantry_(refreshes_due|refreshes_overdue|queue_jobs)[^\n]*$/gm;

it('what cannot be read is absent, neither old nor zero, and the rest is answered', async () => {
  let isAway = false;
  const orFail = <T>(value: T) => (isAway ? Promise.reject(new Error('password=hunter2')) : Promise.resolve(value));
  const counted = createCounted({
    read: () => orFail({ due: 1, overdue: 1, oldestOverdueS: 1 }),
    queues: () => orFail([{ queue: 'refresh', waiting: 1, active: 1, delayed: 1 }]),
  });
  const shown = async () => [...(await counted.text()).body.matchAll(readFromElsewhere)].length;
  expect(await shown()).toBe(6);
  isAway = true;
  counted.pass(5_000);
  expect(await shown()).toBe(0);
  expect(await counted.series('grantry_token_duration_seconds_count')).toEqual({ grantry_token_duration_seconds_count: 0 });
  counted.pass(5_000);
  expect(await shown()).toBe(0);
  expect(counted.logged.map((line) => JSON.parse(line).what)).toEqual(['refreshes', 'queues']);
  expect(counted.logged.join()).not.toContain('hunter2');
  isAway = false;
  counted.pass(5_000);
  expect(await shown()).toBe(6);
});

it('a server that hangs is waited for a while, and not asked again while it does', async () => {
  let reads = 0;
  let answer = (_: { due: number; overdue: number; oldestOverdueS: number }) => {};
  const counted = createCounted({
    read: () => {
      reads += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  });
  const look = async () => {
    const looking = counted.series('grantry_refreshes_due');
    await turn();
    counted.lapse();
    return looking;
  };
  expect(await look()).toEqual({});
  counted.pass(60_000);
  expect(await look()).toEqual({});
  expect(reads).toBe(1);
  answer({ due: 4, overdue: 0, oldestOverdueS: 0 });
  await turn();
  // That answer is a minute old.
  const looking = counted.series('grantry_refreshes_due');
  await turn();
  answer({ due: 5, overdue: 0, oldestOverdueS: 0 });
  expect(await looking).toEqual({ grantry_refreshes_due: 5 });
  expect(reads).toBe(2);
});

it('two in one process do not meet', async () => {
  const [one, other] = [createCounted(), createCounted()];
  one.meter.putOff('host_busy');
  expect((await other.series())['grantry_refreshes_put_off_total{why="host_busy"}']).toBe(0);
});
