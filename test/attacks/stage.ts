import type { Browser as Chromium } from 'playwright-core';
import { deliverWebhook } from '../../src/broker/webhooks.ts';
import { type Jobs, type JobsOptions, startJobs } from '../../src/jobs/start.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import type { Answer } from '../../src/sandbox/hostile-answers.ts';
import { type Listener, listen } from '../../src/sandbox/listener.ts';
import { type Browser, type Link, type Scene, startScene } from '../flows/scene.ts';
import { startTestBroker, type TestBroker, type TestBrokerOptions } from '../harness/broker.ts';
import { launchChromium } from '../harness/chromium.ts';
import { type Strict, startStrict } from './strict.ts';

/** Where the attacks happen: honest providers of every layout, an evil one in two projects, and what the attacker gets to see. */

export type Stage = Scene & {
  evil: Listener;
  /** Another broker, to which the inside is closed. */
  strict: Strict;
  /** Forms that reached the evil token endpoint since the last `forget`. */
  captured: URLSearchParams[];
  /** Where the evil authorization endpoint sends the browser, given the state that the broker sent. */
  mislead(to: (state: string) => string): void;
  /** What the evil token endpoint answers with: a body, or anything at all. */
  answerTokens(answer: string | Answer): void;
  /** A further broker of the same build; whoever starts it stops it. */
  startAnother(options: TestBrokerOptions): Promise<TestBroker>;
  /** One attempt at a webhook delivery. */
  deliver(id: string): Promise<unknown>;
  /** Background work of the same build for the broker of this stage, which has none of its own; whoever starts it stops it. */
  work(options: Pick<JobsOptions, 'world' | 'redisUrl' | 'sweepEveryMs'>): Promise<Jobs>;
  /** What the evil host answers elsewhere. */
  serve(path: string, answer: { status?: number; headers?: Record<string, string>; body?: string }): void;
  /** Requests for served paths. */
  hits(path: string): number;
  /** A name that no attack has used yet. */
  fresh(name: string): string;
  /** The living connection that holds this provider account for this end user. */
  holds(endUser: string, account: string): Promise<boolean>;
  /** The end user opens the link and comes back from the provider, up to the callback, which is not visited. */
  walk(link: Link, browser: Browser): Promise<URL>;
  /** A real browser, the same for all attacks. */
  chromium(): Promise<Chromium>;
};

/** Every layout of an honest provider: own or shared callback, with and without an `iss`. */
export const honests = ['own', 'shared', 'own-without-iss', 'shared-without-iss'] as const;
export type Honest = (typeof honests)[number];
export const namesIssuer = (honest: Honest) => !honest.endsWith('without-iss');

export const returnUrl = 'https://app.acme.com/connected';

type Build = Parameters<typeof startStrict>[0] & { deliver?: typeof deliverWebhook; startJobs?: typeof startJobs };

/** On the sources, or on another build of them. */
export async function startStage(options: Build = {}): Promise<Stage> {
  const { start } = options;
  const [scene, evil, strict] = await Promise.all([startScene(start === undefined ? {} : { start }), listen(), startStrict(options)]);
  const { authorizationServer: as, phonegap } = scene.providers;
  const captured: URLSearchParams[] = [];
  let to = (_state: string) => 'about:blank';
  const token = JSON.stringify({ access_token: 'evil', token_type: 'Bearer' });
  let tokens: string | Answer = token;
  const served = new Map<string, { status?: number; headers?: Record<string, string>; body?: string }>();
  const hits = new Map<string, number>();
  evil.handle(async (request, response, later) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', evil.url);
    const answer = served.get(pathname);
    if (answer !== undefined) {
      hits.set(pathname, (hits.get(pathname) ?? 0) + 1);
      return void response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers }).end(answer.body ?? '{}');
    }
    if (pathname === '/authorize') return void response.writeHead(302, { location: to(searchParams.get('state') ?? '') }).end();
    let body = '';
    for await (const chunk of request) body += String(chunk);
    captured.push(new URLSearchParams(body));
    if (typeof tokens === 'string') response.writeHead(200, { 'content-type': 'application/json' }).end(tokens);
    else tokens(response, later);
  });

  const definition = JSON.parse(as.definition);
  const { issuer: _, iss_parameter: __, ...plain } = definition.methods.web;
  const withoutIss = JSON.stringify({ ...definition, id: 'without-iss', methods: { web: plain } });
  await scene.root.call('PATCH', '/v1/projects/default', { body: { return_urls: [returnUrl] } });
  await scene.define(as.definition);
  await scene.define(withoutIss);
  await scene.define(phonegap.definition);
  await scene.integrate(as, { id: 'own', provider: 'sandbox-as' });
  await scene.integrate(as, { id: 'verified', provider: 'sandbox-as', verification: 'user' });
  await scene.integrate(as, { id: 'shared', provider: scene.ship(as.definition, 'shipped-as') });
  await scene.integrate(as, { id: 'own-without-iss', provider: 'without-iss' });
  await scene.integrate(as, { id: 'shared-without-iss', provider: scene.ship(withoutIss, 'shipped-without-iss') });
  await scene.integrate(phonegap, { id: 'phonegap', provider: 'sandbox-phonegap' });

  const endpoints = { authorization_endpoint: `${evil.url}/authorize`, token_endpoint: `${evil.url}/token` };
  const party = { definition: '', client: as.client, registerRedirectUri: () => {} };
  await scene.root.call('POST', '/v1/projects', { body: { id: 'elsewhere', name: 'Elsewhere' } });
  for (const project of [undefined, 'elsewhere']) {
    await scene.define(JSON.stringify({ id: 'evil', name: 'Evil', methods: { web: { grant: 'authorization_code', ...endpoints } } }), project);
    await scene.integrate(party, { id: 'evil', provider: 'evil' }, project);
    // One that says it is the honest server (mix-up): it may, and gains nothing.
    const methods = { web: { grant: 'authorization_code', issuer: as.issuer, iss_parameter: 'required', ...endpoints } };
    await scene.define(JSON.stringify({ id: 'impostor', name: 'Impostor', methods }), project);
    await scene.integrate(party, { id: 'impostor', provider: 'impostor' }, project);
  }

  let made = 0;
  let chromium: Promise<Chromium> | undefined;
  return {
    ...scene,
    evil,
    strict,
    captured,
    mislead(next) {
      to = next;
      tokens = token;
      captured.length = 0;
    },
    answerTokens(answer) {
      tokens = answer;
    },
    startAnother: (more) => startTestBroker({ ...more, ...(start !== undefined && { start }) }),
    deliver: (id) => (options.deliver ?? deliverWebhook)(scene.broker.world, id),
    work: (given) => (options.startJobs ?? startJobs)({ ...given, databaseUrl: scene.broker.databaseUrl }),
    serve: (path, answer) => void served.set(path, answer),
    hits: (path) => hits.get(path) ?? 0,
    fresh(name) {
      made += 1;
      return `${name}-${made}`;
    },
    async holds(endUser, account) {
      const all = await scene.sql<{ id: string }>(
        `select id from connections where end_user_id = $1 and account = $2 and deleted_at is null and status = 'active'`,
        [endUser, account],
      );
      return all.length > 0;
    },
    async walk(link, browser) {
      const back = await browser.open(await scene.begin(link, browser), { stopBefore: `${scene.url}/oauth/callback` });
      return new URL(back.location ?? 'about:blank');
    },
    chromium() {
      chromium ??= launchChromium(['--host-resolver-rules=MAP *.acme.test 127.0.0.1']);
      return chromium;
    },
    async stop() {
      await (await chromium)?.close();
      await Promise.all([scene.stop(), strict.stop()]);
      await evil.stop();
    },
  };
}

/** Somebody's flow up to the callback: the provider has her consent already. */
export async function flowOf(stage: Stage, integration: string, who: string, fields: Record<string, unknown> = {}) {
  stage.providers.authorizationServer.switches.autoApprove = { user: who };
  const link = await stage.linkTo(integration, { end_user: { id: who }, ...fields });
  const browser = createBrowser();
  return { link, browser, callback: await stage.walk(link, browser) };
}
