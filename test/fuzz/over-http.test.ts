import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCredential } from '../../src/broker/credentials.ts';
import { createHostHealth } from '../../src/broker/host-health.ts';
import { silentMeter } from '../../src/broker/meter.ts';
import type { ConnectionRecord, LinkRecord } from '../../src/broker/records.ts';
import { GrantryProblem } from '../../src/client/client.ts';
import { answer } from '../../src/sandbox/hostile-answers.ts';
import { exchanges, type Scene, startScene } from '../flows/scene.ts';
import { saidBy } from './callback-oracle.ts';
import { type Callback, callbackOf } from './callbacks.ts';
import type { Flow } from './flows.ts';
import { memoryMb, warmShare } from './memory.ts';
import type { Told } from './orders.ts';
import { type Draft, drafts, must, notReached, type Property, Violation } from './property.ts';
import { startOf, takesPart } from './seeds.ts';
import { failureText, table } from './table.ts';
import { mark, rulesOf, tokenAnswerOf } from './token-answers.ts';
import { isSaneToken, mustBeSane, mustBeUnpolluted } from './token-oracle.ts';
import type { Outcome } from './watched.ts';

/** The same cases as a provider and a browser would send them: over HTTP, through the door, into Postgres. */

const minutes = 60_000;
/** A case takes milliseconds; one that takes so long hangs. */
const patienceMs = 30_000;

let scene: Scene;
const outcomes: Outcome[] = [];
let unhandled = 0;
let rejection: string | undefined;
const note = (reason: unknown) => {
  unhandled += 1;
  rejection ??= String(reason);
};
/** What the sandbox remembers of its own flows, and the figures of the broker; a case of which something stays costs more. */
const mostGrowthMb = 24;

/** No token may be in the log; what has been looked at is not kept. */
function lookAtLog(): void {
  must(!scene.logged.some((line) => line.includes(mark)), 'a token is in the log', 'bad token');
  scene.logged.length = 0;
}

beforeAll(async () => {
  scene = await startScene({ env: { LOG_LEVEL: 'debug' } });
  process.on('unhandledRejection', note);
  const { hostile, authorizationServer: as } = scene.providers;
  await scene.define(hostile.definition);
  const { client_id, client_secret } = hostile.client;
  await scene.root.call('POST', '/v1/integrations', {
    body: { id: 'machine', provider: 'sandbox-hostile', method: 'machine', client_id, client_secret },
  });
  as.switches.autoApprove = { user: 'ada' };
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
});
afterAll(async () => {
  process.off('unhandledRejection', note);
  await scene?.stop();
  process.stdout.write(`\n${table(outcomes)}\n`);
});

class Hang extends Error {}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Hang('It never came back.')), patienceMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Runs the cases one after the other; the outcome is for the table. */
async function fuzzed(name: string, runs: number, check: (draft: Draft, count: (what: string) => void) => Promise<void>): Promise<Outcome> {
  const { seed, regressions, times } = startOf(name);
  const counts: Record<string, number> = {};
  const before = { unhandled, cpu: process.cpuUsage() };
  let [done, slowestMs, warmMb] = [0, 0, 0];
  const property = fc.asyncProperty(drafts, async (draft) => {
    const startedAt = performance.now();
    await within(
      check(draft, (what) => {
        counts[what] = (counts[what] ?? 0) + 1;
      }),
    );
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    done += 1;
    if (done % 100 === 0) lookAtLog();
    if (done === Math.ceil(runs * times * warmShare)) warmMb = memoryMb();
  });
  // Looking for a smaller case would take as long as the whole run.
  const places = [...regressions.map((place) => ({ ...place, numRuns: 1 })), ...(times === 0 ? [] : [{ seed, numRuns: runs * times }])];
  let failure: Told['failure'];
  let hangs = 0;
  for (const place of places) {
    const result = await fc.check(property, { ...place, path: 'path' in place ? (place.path ?? '') : '', endOnFailure: true });
    if (!result.failed) continue;
    const error = result.errorInstance;
    if (error instanceof Hang) hangs += 1;
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const kind = error instanceof Violation ? error.kind : 'crash';
    failure ??= { seed: place.seed, path: result.counterexamplePath ?? '', kind, what, shown: JSON.stringify(result.counterexample) };
  }
  lookAtLog();
  const outcome = {
    name,
    seed,
    runs: done,
    counts,
    slowestMs,
    cpuS: process.cpuUsage(before.cpu).user / 1e6,
    unhandled: unhandled - before.unhandled,
    rejection,
    growthMb: failure === undefined && times > 0 ? memoryMb() - warmMb : 0,
    hangs,
    crashes: failure?.kind === 'crash' ? 1 : 0,
    failure,
  };
  outcomes.push(outcome);
  return outcome;
}

function expectGood(outcome: Outcome, reaches: Property['reaches']): void {
  expect(failureText(outcome)).toBe('');
  expect(outcome).toMatchObject({ hangs: 0, crashes: 0, unhandled: 0, rejection: undefined });
  if (outcome.runs === 1) return;
  expect(notReached({ ...outcome, reaches })).toEqual([]);
  expect(outcome.growthMb).toBeLessThan(mostGrowthMb);
}

const refusals = [
  'bad_provider_answer',
  'no_answer',
  'provider_error',
  'provider_unavailable',
  'provider_unreachable',
  'exchange_failed',
  'misconfigured',
  'invalid_client',
];

test.runIf(takesPart('token answers over HTTP'))(
  'token answers over HTTP',
  async () => {
    const { hostile } = scene.providers;
    const { world } = scene.broker;
    const [definition] = await scene.sql<{ definition: never }>(`select definition from provider_versions where provider_id = 'sandbox-hostile'`);
    const rules = rulesOf([definition?.definition as never]).slice(0, 1);
    let accepted = 0;

    const outcome = await fuzzed('token answers over HTTP', 400, async (draft, count) => {
      const made = tokenAnswerOf(draft, rules, new Date());
      const status = made.status < 200 || made.status > 599 ? 200 : made.status;
      const headers = Object.fromEntries(Object.entries(made.headers).map(([name, value]) => [name, value.replace(/[^ -~]/g, '')]));
      hostile.answerWith(answer(status, [204, 304].includes(status) ? '' : made.bytes, headers));
      // So many nonsensical answers of one host would open its breaker, and nothing more would be asked.
      world.hosts = createHostHealth({ elapsedMs: () => performance.now(), random: () => 0, meter: silentMeter });
      const body = { integration: 'machine', end_user: { id: 'u1' }, grant: 'client_credentials' };
      const answered = await scene.root.call<{ id: string }>('POST', '/v1/connections', { body }).catch((error: unknown) => error);
      mustBeUnpolluted();
      if (answered instanceof GrantryProblem) {
        must(refusals.includes(answered.code), `refused as ${answered.code}`);
        must(!JSON.stringify(answered.problem).includes(mark), 'an answer that holds a token');
        must(!made.isPlain, 'an answer as the definition describes it was refused');
        return count('refused');
      }
      if (answered instanceof Error) throw answered;
      accepted += 1;
      count('accepted');
    });

    const rows = await scene.sql<ConnectionRecord>(`select * from connections where integration_id = 'machine'`);
    expect(rows).toHaveLength(accepted);
    const bad: string[] = [];
    for (const row of rows) {
      const fields = (await openCredential(world, row)).reveal();
      try {
        mustBeSane(fields, []);
      } catch (error) {
        bad.push(`${row.id}: ${String(error)}`);
      }
      expect(isSaneToken(fields.access_token)).toBe(true);
      if (row.expires_at !== null) expect(row.expires_at.getTime() - row.issued_at.getTime()).toBeLessThan(3_651 * 86_400_000);
    }
    expect(bad).toEqual([]);
    expectGood(outcome, { accepted: 0.15, refused: 0.3 });
  },
  120 * minutes,
);

/** A flow up to its callback, for a browser that is no more than its cookie. */
async function begun(): Promise<Flow & { row: LinkRecord; url: string }> {
  const { callback, browser, link } = await scene.untilCallback('as');
  const cookie = (await browser.cookies.headerFor(callback.href, 'lax')).replace('grantry=', '');
  const row = await scene.row(link);
  return {
    variant: 'issuer',
    link: row,
    row,
    url: link.url,
    browser: cookie,
    state: callback.searchParams.get('state') ?? '',
    code: callback.searchParams.get('code') ?? '',
    issuer: callback.searchParams.get('iss') ?? '',
    truth: [...callback.searchParams],
  };
}

/** Exactly these bytes, as only somebody who means ill would send them. */
function send(path: string, browser: string | undefined): Promise<{ status: number; location: string }> {
  const { hostname, port } = new URL(scene.url);
  return new Promise((resolve, reject) => {
    const headers = browser === undefined || /[^!-~]/.test(browser) ? {} : { cookie: `grantry=${browser}` };
    request({ hostname, port, path, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0, location: response.headers.location ?? '' }));
    })
      .on('error', reject)
      .end();
  });
}

/** As if nothing had arrived yet. */
async function restore({ row }: { row: LinkRecord }): Promise<void> {
  await scene.sql(
    `update connect_links set status = $2, state_hash = $3, pending_sealed = $4, inputs_sealed = $5, error_code = null, error_detail = null, finished_at = null where id = $1`,
    [row.id, row.status, row.state_hash, row.pending_sealed, row.inputs_sealed],
  );
  await scene.sql('delete from code_ledger where link_id = $1', [row.id]);
}

const longestTarget = 8_704;

test.runIf(takesPart('callback queries over HTTP'))(
  'callback queries over HTTP',
  async () => {
    let flows = [await begun(), await begun()];
    let connected = 0;
    const living = async () => Number((await scene.sql(`select count(*) as n from connections where integration_id = 'as'`))[0]?.n);
    const statuses = async () => {
      const rows = await scene.sql<LinkRecord>('select id, status from connect_links where id = any($1)', [flows.map(({ row }) => row.id)]);
      return new Map(rows.map(({ id, status }) => [id, status]));
    };
    const statusOf = async ({ row }: { row: LinkRecord }) => (await statuses()).get(row.id);

    /** The true callback connects, with one exchange. */
    async function finish(flow: Flow & { row: LinkRecord }): Promise<void> {
      const before = exchanges(scene);
      await send(`${new URL(flow.link.redirect_uri).pathname}?${new URLSearchParams(flow.truth)}`, flow.browser);
      must((await statusOf(flow)) === 'connected', 'the true callback did not connect afterwards');
      must(exchanges(scene) === before + 1, 'the true callback was not exchanged once', 'bad exchange');
      connected += 1;
      flows = [await begun(), ...flows.filter((each) => each !== flow)].slice(0, 2);
    }

    let cases = 0;
    const outcome = await fuzzed('callback queries over HTTP', 250, async (draft, count) => {
      const made = callbackOf(draft, flows);
      const path = made.arrivedAt.replace(/^[a-z]+:\/\/[^/]*/i, '');
      const callback: Callback = {
        ...made,
        arrivedAt: scene.url + path,
        query: made.query.replace(/[^!-~]/gu, (c) => encodeURIComponent(c.replace(/\p{Surrogate}/u, '\ufffd'))),
      };
      const target = `${path}?${callback.query}`;
      const isRead = target.length <= longestTarget && /^\/oauth\/callback(?:\/[^/]+)?$/.test(path);
      const { flow, code } = isRead ? saidBy(callback, flows) : { flow: undefined, code: undefined };
      const before = exchanges(scene);
      const { status, location } = await send(target, callback.browser);
      const sent = exchanges(scene) - before;
      must(status >= 200 && status < 500, `answered with ${status}`, 'wrong');
      must(location === '' || location.startsWith(scene.url), `sent to ${location}`);
      if (code === undefined) {
        must(sent === 0, 'an exchange for a callback that is wrong', 'bad exchange');
        const found = await statuses();
        for (const each of flows) must(found.get(each.row.id) === (each === flow ? 'failed' : 'authorizing'), 'a flow is not as it should be');
        count(flow === undefined ? 'unknown' : 'failed');
        for (const each of flows) if (each === flow) await restore(each);
      } else {
        must(sent === 1, `${sent} exchanges for a callback that is right`, 'bad exchange');
        const mine = flows.find((each) => each === flow);
        must(
          mine !== undefined && (await statusOf(mine)) === (code === flow?.code ? 'connected' : 'failed'),
          'connected by a code that is none, or not connected',
        );
        if (code === flow?.code) connected += 1;
        count(code === flow?.code ? 'connected' : 'another code');
        // A code that has been seen in one flow is refused in every other one, and what was made up for this one may be so again.
        await scene.sql('delete from code_ledger');
        flows = flows.filter((each) => each !== flow && each.code !== code);
        while (flows.length < 2) flows.push(await begun());
      }
      mustBeUnpolluted();
      cases += 1;
      const [oldest] = flows;
      if (cases % 40 === 0 && oldest !== undefined) await finish(oldest);
    });
    expectGood(outcome, { unknown: 0.2, failed: 0.2, connected: 0.1, 'another code': 0.005 });
    expect(await living()).toBe(connected);
  },
  120 * minutes,
);
