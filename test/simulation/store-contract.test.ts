import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConnectionStatus } from '../../src/broker/records.ts';
import type { Claim, StoredCredential } from '../../src/broker/store.ts';
import { memorySide, postgresSide, type Side } from './contract-sides.ts';
import { project } from './link.ts';

/** The memory store of the simulation does what the Postgres store does: any row of steps leaves both with the same answers and the same rows. */

const integration = 'as';

type Step =
  | { do: 'pass'; s: number }
  | { do: 'restart' }
  | { do: 'claim'; read: number }
  | { do: 'commit'; claim: number; lifetimeS: number; ageMs: number }
  | { do: 'fail'; claim: number; how: 'refused' | 'failed' | 'sent' | 'misconfigured' }
  | { do: 'renew'; behind: number }
  | { do: 'patch' | 'stop' | 'remove' | 'due' | 'counts' | 'again' | 'trial' | 'mend' | 'read' | 'connect' }
  | { do: 'status'; status: 'active' | 'misconfigured' }
  | { do: 'postpone'; behind: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), s: fc.constantFrom(1.37, 3.11, 31.57, 46.53, 101.9, 701.3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restart' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const), read: fc.nat(2) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      claim: fc.nat(2),
      lifetimeS: fc.constantFrom(0, 30, 600),
      ageMs: fc.constantFrom(0, 250, 9_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      claim: fc.nat(2),
      how: fc.constantFrom('refused' as const, 'failed' as const, 'sent' as const, 'misconfigured' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), behind: fc.nat(1) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('patch' as const, 'due' as const, 'counts' as const, 'again' as const, 'trial' as const, 'mend' as const, 'read' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('stop' as const, 'remove' as const, 'connect' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('status' as const), status: fc.constantFrom('active' as const, 'misconfigured' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('postpone' as const), behind: fc.nat(1) }) },
);

const failures = {
  refused: { outcome: 'refused', status: 'reauthorization_required', reason: 'invalid_grant', code: 'invalid_grant', retryInS: null },
  failed: { outcome: 'failed', status: 'refresh_failing', reason: null, code: 'provider_unavailable', retryInS: 12.5 },
  sent: { outcome: 'sent', status: 'refresh_failing', reason: null, code: 'no_answer', retryInS: 3 },
  misconfigured: { outcome: 'failed', status: 'refresh_failing', reason: null, code: 'invalid_client', retryInS: 300 },
} as const satisfies Record<string, { outcome: string; status: ConnectionStatus; reason: string | null; code: string; retryInS: number | null }>;

const stored = (text: string, lifetimeS: number, ageMs: number): StoredCredential => ({
  credential_sealed: text,
  scopes: ['read'],
  missing_scopes: ['write'],
  extras: { realm: text },
  refreshable: true,
  times: { ageMs, lifetimeS, refreshLifetimeS: null, dueInS: lifetimeS * 0.8 },
});

const epochMs = Date.UTC(2030, 0, 1);
let sides: Side[];
let runs = 0;
/** One clock for all runs, which never goes back. */
let nowMs = epochMs;

beforeAll(async () => {
  sides = [memorySide(), await postgresSide()];
  for (const { store } of sides) {
    await store.integrations.insert({
      project_id: project,
      id: integration,
      provider_id: 'p',
      method: 'web',
      client_id: 'c',
      client_secret_sealed: 's',
      further_secrets_sealed: null,
      private_key_sealed: null,
      inputs_sealed: null,
      secret_version: 1,
      scopes: [],
      callback: 'shared',
      context: 'x',
      verification: 'browser',
      probe_unused_after_s: null,
    });
  }
});
afterAll(() => Promise.all((sides ?? []).map((side) => side.stop())));

/** Plays the steps on one side; everything that it answered, and what is left. */
async function play({ store, ...side }: Side, id: string, steps: readonly Step[]): Promise<unknown[]> {
  const about = { project_id: project, integration_id: integration, connection_id: id };
  const said: unknown[] = [];
  let clockMs = nowMs;
  await side.setClock(new Date(clockMs));
  await side.setStart(new Date(epochMs - 3_600_000));
  const identity = {
    id,
    project_id: project,
    integration_id: integration,
    provider_id: 'p',
    method: 'web',
    requested_scopes: [],
    inputs_sealed: null,
  };
  const connect = (row: typeof identity) =>
    store.connections.insert({ ...row, end_user: { id: 'u' }, metadata: {}, account: null, ...stored('v1', 60, 0) }, undefined, []);
  await connect(identity);
  const others: string[] = [];
  // From here on all its times are of the clock that is set.
  await store.connections.setMetadata(project, id, {});
  const reads = [await store.refreshes.read(id)];
  const claims: Claim[] = [];
  const latest = <T>(list: readonly T[], behind: number): T | undefined => list.at(-1 - behind);
  let leases = 0;

  for (const each of steps) {
    const version = (await store.connections.get(project, id))?.token_version ?? 1;
    switch (each.do) {
      case 'pass':
        clockMs += each.s * 1000;
        await side.setClock(new Date(clockMs));
        break;
      case 'restart':
        await side.setStart(new Date(clockMs));
        break;
      case 'read':
        reads.push(await store.refreshes.read(id));
        break;
      case 'claim': {
        const view = latest(reads, each.read);
        if (view === undefined) break;
        const lease = `00000000-0000-4000-8000-${String(leases++).padStart(12, '0')}`;
        const claim = await store.refreshes.claim(view.connection, lease);
        said.push(claim && { lease, ambiguous: claim.ambiguous });
        if (claim !== undefined) claims.push(claim);
        break;
      }
      case 'commit': {
        const claim = latest(claims, each.claim);
        if (claim === undefined) break;
        const next = stored(`after ${claim.connection.token_version} by ${claim.lease}`, each.lifetimeS, each.ageMs);
        const saved = await store.refreshes.commit(claim, next, [{ ...about, type: 'connection.refreshed' }], {
          ...about,
          type: 'connection.recovered',
        });
        said.push(saved && { ...saved, created_at: null });
        break;
      }
      case 'fail': {
        const claim = latest(claims, each.claim);
        if (claim === undefined) break;
        const { code, ...failure } = failures[each.how];
        const type = failure.status === 'refresh_failing' ? 'connection.refresh_failing' : 'connection.reauthorization_required';
        said.push(await store.refreshes.fail(claim, { ...failure, error: { code, retryable: true } }, [{ ...about, type, data: { code } }]));
        break;
      }
      case 'renew': {
        const renewal = { ...stored(`renewed ${version}`, 60, 0), method: 'web', requested_scopes: ['more'], inputs_sealed: null, account: 'a' };
        const renewed = await store.connections.renew(project, id, version - each.behind, renewal, undefined, [
          { ...about, type: 'connection.reconnected' },
        ]);
        said.push(renewed?.token_version);
        break;
      }
      case 'patch':
        said.push((await store.connections.setMetadata(project, id, { at: clockMs }))?.metadata);
        break;
      case 'stop':
        said.push(
          await store.connections.requireReauthorization(project, id, 'stopped', [{ ...about, type: 'connection.reauthorization_required' }]),
        );
        break;
      case 'remove':
        said.push(await store.connections.remove(project, id, 'nothing', [{ ...about, type: 'connection.deleted' }]));
        break;
      case 'connect':
        others.push(`${id}-${others.length}`);
        await connect({ ...identity, id: others.at(-1) ?? '' });
        break;
      case 'due':
        said.push((await store.refreshes.due(100, 30)).filter((due) => due.connection_id === id));
        break;
      case 'postpone':
        await store.refreshes.postpone({ connection_id: id, token_version: version - each.behind }, 17_500);
        break;
      case 'again':
        await store.refreshes.handOutAgain();
        break;
      case 'counts':
        said.push(await store.refreshes.counts());
        break;
      case 'trial':
        said.push(await store.integrations.takeTrial(project, integration, 60));
        break;
      case 'status':
      case 'mend': {
        const old = (await store.integrations.get(project, integration))!;
        const events = [{ project_id: project, integration_id: integration, type: 'integration.recovered' as const }];
        if (each.do === 'status') said.push(await store.integrations.setStatus(old, each.status, events));
        else
          await store.integrations.update(
            project,
            integration,
            old.secret_version,
            { secret_version: old.secret_version + 1, status: 'active' },
            events,
          );
        break;
      }
    }
    const view = await store.refreshes.read(id);
    const row = view?.connection;
    said.push(row && { ...row, created_at: null }, view?.now, view?.integration?.status, view?.integration?.trial_at ?? null);
    const registration = (await store.integrations.get(project, integration))!;
    for (const asking of [undefined, id]) said.push(await store.integrations.isRefusedElsewhere(registration, asking));
    const token = await store.tokens.byProject(project, id);
    said.push(
      token && {
        status: token.status,
        version: token.token_version,
        sealed: token.credential_sealed,
        ends: token.expires_at,
        now: token.now,
        client: token.client_id,
      },
    );
  }
  for (let version = 1; version < 8; version += 1) said.push(await side.intent(id, version));
  said.push(await side.timeline(id));
  nowMs = Math.max(nowMs, clockMs);
  // The next run should not see this one's.
  for (const each of [id, ...others]) await store.connections.remove(project, each, 'nothing', []);
  return said;
}

/** Seldom comes by chance, and what follows it decides whether it still counts. */
const refused: Step[] = [
  { do: 'claim', read: 0 },
  { do: 'fail', claim: 0, how: 'misconfigured' },
  { do: 'pass', s: 1.37 },
];

test('the memory store and Postgres answer alike, whatever is asked of them', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16, size: 'max' }), async (steps) => {
      const id = `con_${String(runs++).padStart(26, '0')}`;
      const beginMs = nowMs;
      const model = await play(sides[0]!, id, steps);
      const endMs = nowMs;
      nowMs = beginMs;
      const real = await play(sides[1]!, id, steps);
      expect(nowMs).toBe(endMs);
      expect(model).toEqual(real);
    }),
    { numRuns: 60, endOnFailure: false, examples: [[[...refused, { do: 'connect' }]], [[...refused, { do: 'mend' }]]] },
  );
});
