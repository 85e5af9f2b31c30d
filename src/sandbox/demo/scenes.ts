import { type GrantryClient, GrantryProblem, presentedCall, type Token } from '../../client/client.ts';
import type { People, Seen } from './person.ts';
import type { Report } from './report.ts';
import type { Stage } from './stage.ts';

/** The acts of the demo, in order: each does what its title says through the REST API and a person's browser. */

export type Play = { stage: Stage; people: People; report: Report; connections: { id: string; note: string }[] };
export type Scene = { title: string; play(play: Play): Promise<void> };

/** Fails a step with a sentence. */
export function expectThat(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

type LinkState = { status: string; connection_id: string | null; error: { code: string } | null };

async function integrationFor(
  { stage, report }: Play,
  { id, provider, definition, ...body }: { id: string; provider: string; definition?: string; [field: string]: unknown },
): Promise<string | null> {
  if (definition !== undefined) {
    await stage.admin.call('PUT', `/v1/providers/${provider}`, { body: definition });
    report.step(`the admin adds the provider definition ${provider}`);
  }
  const { redirect_uri } = await stage.admin.call<{ redirect_uri: string | null }>('POST', '/v1/integrations', { body: { id, provider, ...body } });
  report.step(`the admin registers the integration ${id}${redirect_uri === null ? '' : ` (callback ${redirect_uri})`}`);
  return redirect_uri;
}

async function connectLink({ stage, report }: Play, integration: string, more: Record<string, unknown> = {}) {
  const link = await stage.integration.createConnectLink({ integration, end_user: { id: 'ada', display_name: 'Ada Lovelace' }, ...more });
  report.step(`the integration asks for a connect link: ${link.url.replace(/(connect\/.{6}).*/, '$1…')}`);
  return link;
}

async function connected({ stage, report, connections }: Play, link: { id: string }, note: string): Promise<string> {
  const state = await stage.integration.call<LinkState>('GET', `/v1/connect-links/${link.id}`);
  expectThat(
    state.status === 'connected' && state.connection_id !== null,
    `the link is ${state.status} (${state.error?.code ?? 'no error'}), not connected`,
  );
  report.done(`connected: ${state.connection_id}`);
  connections.push({ id: state.connection_id, note });
  return state.connection_id;
}

/** Uses a token as a worker does: at the provider's own API. */
async function useAt({ report }: Play, api: { base: string; path: string }, token: Token): Promise<void> {
  expectThat(token.present !== null, 'this token has to be signed for each request');
  const { url, headers } = presentedCall(token.present, api);
  const answer = await fetch(url, { headers });
  expectThat(answer.status === 200, `the provider's API answered ${answer.status}`);
  report.done(`the worker's token opens the provider's API: ${(await answer.text()).slice(0, 60).trim()}`);
}

async function problemOf(call: Promise<unknown>): Promise<GrantryProblem> {
  const outcome = await call.then(
    () => new Error('the call should have been refused'),
    (error: unknown) => error,
  );
  if (outcome instanceof GrantryProblem) return outcome;
  throw outcome;
}

async function approve(page: Seen, user: string, button: string): Promise<Seen> {
  const consent = await page.press(button);
  return consent.press('Approve', { user });
}

const token = (worker: GrantryClient, id: string, wish?: { minTtlS?: number; force?: boolean }) => worker.getToken(id, wish);

export const scenes: readonly Scene[] = [
  {
    title: 'OAuth 2.0 authorization code with PKCE, and a rotating refresh token',
    async play(play) {
      const { stage, people, report } = play;
      const as = stage.sandbox.providers.authorizationServer;
      const callback = await integrationFor(play, { id: 'web', provider: 'sandbox-as', definition: as.definition, ...as.client });
      as.registerRedirectUri(callback ?? '');
      const link = await connectLink(play, 'web', { metadata: { plan: 'pro' } });
      const person = await people.person();
      const done = await approve(await person.open(link.url), 'ada', 'Continue to');
      report.step(`the person is shown "${done.title}"`);
      const id = await connected(play, link, 'authorization_code, PKCE');
      const first = await token(stage.worker, id, { minTtlS: 10 });
      await useAt(play, { base: `${as.url}/api`, path: '/me' }, first);
      const second = await token(stage.worker, id, { force: true });
      expectThat(first.access_token !== second.access_token && as.counters.refresh_ok === 1, 'the token was not refreshed exactly once');
      report.done('a forced refresh rotated the refresh token; the provider counts one refresh and no reuse');
      const many = await Promise.all(Array.from({ length: 50 }, () => token(stage.worker, id, { minTtlS: 86_400 })));
      expectThat(new Set(many.map(({ access_token }) => access_token)).size === 1 && as.counters.refresh_reuse === 0, 'callers got different tokens');
      report.done('50 workers at once got one and the same living token');
      await person.close();
    },
  },
  {
    title: 'The same with private_key_jwt, and with the integrator confirming who is signed in',
    async play(play) {
      const { stage, people, report } = play;
      const as = stage.sandbox.providers.authorizationServer;
      const callback = await integrationFor(play, {
        id: 'web-jwt',
        provider: 'sandbox-as',
        method: 'web-jwt',
        verification: 'user',
        ...as.signingClient,
      });
      as.registerRedirectUri(callback ?? '');
      const link = await connectLink(play, 'web-jwt', { return_url: stage.integrator.returnUrl });
      const person = await people.person();
      const before = as.counters.token.authorization_code ?? 0;
      const back = await approve(await person.open(link.url), 'ada', 'Continue to');
      const nonce = stage.integrator.arrivals.at(-1)?.get('nonce');
      expectThat(
        back.url.startsWith(stage.integrator.returnUrl) && typeof nonce === 'string',
        `the browser is at ${back.url} and not back at the integrator`,
      );
      expectThat((as.counters.token.authorization_code ?? 0) === before, 'the code was exchanged before anybody confirmed');
      report.step('the browser is back at the integrator with a nonce; nothing has been exchanged yet');
      await stage.integration.call('POST', `/v1/connect-links/${link.id}/confirm`, { body: { nonce, end_user_id: 'ada' } });
      await connected(play, link, 'authorization_code, private_key_jwt');
      const again = await problemOf(stage.integration.call('POST', `/v1/connect-links/${link.id}/confirm`, { body: { nonce, end_user_id: 'ada' } }));
      report.done(`the same nonce again: ${again.status} ${again.code}`);
      const stranger = await connectLink(play, 'web-jwt', { return_url: stage.integrator.returnUrl });
      const other = await people.person();
      await approve(await other.open(stranger.url), 'eve', 'Continue to');
      const wrong = await problemOf(
        stage.integration.call('POST', `/v1/connect-links/${stranger.id}/confirm`, {
          body: { nonce: stage.integrator.arrivals.at(-1)?.get('nonce'), end_user_id: 'eve' },
        }),
      );
      expectThat(wrong.code === 'wrong_user', `another user was answered ${wrong.code}`);
      report.done(`somebody else who was sent the link: ${wrong.status} ${wrong.code}, nothing exchanged`);
      await Promise.all([person.close(), other.close()]);
    },
  },
  {
    title: 'Declined, and a link carried into another browser',
    async play(play) {
      const { stage, people, report } = play;
      const link = await connectLink(play, 'web');
      const person = await people.person();
      const consent = await (await person.open(link.url)).press('Continue to');
      const denied = await consent.press('Deny');
      const state = await stage.integration.call<LinkState>('GET', `/v1/connect-links/${link.id}`);
      expectThat(state.error?.code === 'access_denied', `the link says ${state.error?.code ?? state.status}`);
      report.done(`declined: the page says "${denied.title}", the link says ${state.error.code}`);
      const shared = await connectLink(play, 'web');
      await (await person.open(shared.url)).press('Continue to');
      const other = await people.person();
      const refused = await other.open(shared.url);
      report.done(`opened in another browser: "${refused.title}"`);
      await Promise.all([person.close(), other.close()]);
    },
  },
  {
    title: 'PhoneGap Build: no state, parameters in the query, no expiry',
    async play(play) {
      const { stage, people, report } = play;
      const { phonegap } = stage.sandbox.providers;
      const callback = await integrationFor(play, {
        id: 'phonegap',
        provider: 'sandbox-phonegap',
        definition: phonegap.definition,
        ...phonegap.client,
      });
      phonegap.registerRedirectUri(callback ?? '');
      const link = await connectLink(play, 'phonegap');
      const person = await people.person();
      const asked = await approve(await person.open(link.url), 'ada', 'Continue to');
      report.step(`without a state the person is asked: "${asked.title}"`);
      await asked.press('Yes, connect it');
      const id = await connected(play, link, 'authorization_code, no state');
      await useAt(play, { base: `${phonegap.url}/api/v1`, path: '/me' }, await token(stage.worker, id));
      await person.close();

      await integrationFor(play, { id: 'phonegap-token', provider: 'sandbox-phonegap', method: 'auth_token', ...phonegap.client });
      const second = await connectLink(play, 'phonegap-token');
      const form = await people.person();
      await (await form.open(second.url)).press('Connect ', { auth_token: phonegap.authTokenOf('ada') });
      await connected(play, second, 'credential_exchange');
      await form.close();
    },
  },
  {
    title: 'Nexmo: OAuth 1.0a out of band, without a verifier',
    async play(play) {
      const { stage, people, report } = play;
      const { nexmo } = stage.sandbox.providers;
      await integrationFor(play, { id: 'nexmo', provider: 'sandbox-nexmo', definition: nexmo.definition, ...nexmo.client });
      const connect = async (more: Record<string, unknown>) => {
        const link = await connectLink(play, 'nexmo', more);
        const person = await people.person();
        const page = await person.open(link.url);
        const waiting = await page.press('Continue to');
        await (await waiting.follow('Open')).press('Approve', { user: 'ada' });
        await waiting.press('I have allowed access');
        await person.close();
        return { link, page };
      };
      const { link } = await connect({});
      const id = await connected(play, link, 'oauth1, out of band');
      const target = `${nexmo.url}/api/me`;
      const signed = await stage.worker.call<{ url: string; headers: Record<string, string> }>('POST', `/v1/connections/${id}/sign`, {
        body: { method: 'GET', url: target },
      });
      const answer = await fetch(signed.url, { headers: signed.headers });
      expectThat(answer.status === 200, `the signed request was answered ${answer.status}`);
      report.done('a request signed by the broker opens the API; the consumer secret never left it');
      const again = await connect({ connection_id: id });
      expectThat(/present access|at once|stops working|ends/i.test(again.page.text), 'the reconnect page does not warn');
      report.done('the reconnect page warns that going on ends the present access');
    },
  },
  {
    title: 'OAuth 1.0a with a callback, and with a PIN',
    async play(play) {
      const { stage, people } = play;
      const { nexmo } = stage.sandbox.providers;
      // A request token of one way must not end the tokens of another here.
      const callback = await integrationFor(play, {
        id: 'oauth1',
        provider: 'sandbox-oauth1',
        definition: nexmo.definitionWithCallback,
        ...nexmo.client,
      });
      nexmo.registerRedirectUri(callback ?? '');
      const link = await connectLink(play, 'oauth1');
      const person = await people.person();
      await approve(await person.open(link.url), 'ada', 'Continue to');
      await connected(play, link, 'oauth1, callback');
      await integrationFor(play, { id: 'oauth1-pin', provider: 'sandbox-oauth1-pin', definition: nexmo.definitionWithPin, ...nexmo.client });
      const pinLink = await connectLink(play, 'oauth1-pin');
      const waiting = await (await person.open(pinLink.url)).press('Continue to');
      const shown = await (await waiting.follow('Open')).press('Approve', { user: 'ada' });
      const pin = /\b\d{6,8}\b/.exec(shown.text)?.[0];
      expectThat(pin !== undefined, 'the provider shows no PIN');
      await waiting.press('Finish', { verifier: pin });
      await connected(play, pinLink, 'oauth1, PIN');
      await person.close();
    },
  },
  {
    title: 'API key, user name and password, client credentials, and tokens from elsewhere',
    async play(play) {
      const { stage, people, report, connections } = play;
      const { keyService, authorizationServer: as } = stage.sandbox.providers;
      await integrationFor(play, { id: 'keys', provider: 'sandbox-keys', definition: keyService.definition });
      const link = await connectLink(play, 'keys');
      const person = await people.person();
      const faulty = await (await person.open(link.url)).press('Connect ', { api_key: 'no' });
      report.step(`a key that cannot be one: "${faulty.title}"`);
      await faulty.press('Connect ', { api_key: keyService.issueKey('ada') });
      const id = await connected(play, link, 'api_key');
      await useAt(play, { base: `${keyService.url}/api`, path: '/me' }, await token(stage.worker, id));
      await person.close();

      const end_user = { id: 'ada', organization_id: 'acme' };
      const add = async (note: string, body: Record<string, unknown>) => {
        const made = await stage.integration.call<{ id: string }>('POST', '/v1/connections', { body: { end_user, ...body } });
        connections.push({ id: made.id, note });
        report.done(`${note}: ${made.id}`);
        return made.id;
      };
      await add('basic', { integration: 'keys', grant: 'basic', inputs: { username: 'ada', password: keyService.issuePassword('ada') } });
      await integrationFor(play, { id: 'machine', provider: 'sandbox-as', method: 'machine', ...as.client });
      const machine = await add('client_credentials', { integration: 'machine', grant: 'client_credentials' });
      await useAt(play, { base: `${as.url}/api`, path: '/me' }, await token(stage.worker, machine));
      await add('authorization_code, imported', {
        integration: 'web',
        import: { access_token: 'from-elsewhere', expires_at: new Date(Date.now() + 3_600_000).toISOString(), scopes: ['read'] },
      });
    },
  },
  {
    title: 'While a provider is down, a living token is handed out; deleting revokes',
    async play(play) {
      const { stage, people, report } = play;
      const as = stage.sandbox.providers.authorizationServer;
      const link = await connectLink(play, 'web');
      const person = await people.person();
      await approve(await person.open(link.url), 'grace', 'Continue to');
      const id = await connected(play, link, 'authorization_code, deleted');
      as.switches.fault = { kind: 'down' };
      await token(stage.worker, id, { force: true });
      report.done('the provider is down and the token lives: the worker gets it');
      as.switches.fault = { kind: 'none' };
      const { last_error } = await stage.integration.call<{ last_error: { code: string } | null }>('GET', `/v1/connections/${id}`);
      report.step(`the connection says so: last_error ${last_error?.code ?? 'none'}`);
      const { revocations } = as.counters;
      await stage.integration.call('DELETE', `/v1/connections/${id}`);
      for (let i = 0; i < 100 && as.counters.revocations === revocations; i += 1) await new Promise((resolve) => setTimeout(resolve, 50));
      expectThat(as.counters.revocations > revocations, 'the provider was not told');
      play.connections.pop();
      const gone = await problemOf(token(stage.worker, id));
      report.done(`deleted: revoked at the provider, and its token is ${gone.status} ${gone.code}`);
      await person.close();
    },
  },
];
