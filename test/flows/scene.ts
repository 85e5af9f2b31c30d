import { expect } from 'vitest';
import type { LinkRecord } from '../../src/broker/records.ts';
import { createGrantryClient, type GrantryClient } from '../../src/client/client.ts';
import { parseDefinition } from '../../src/protocol/definition/parse.ts';
import { type Browser, createBrowser, type Page } from '../../src/sandbox/browser.ts';
import { startWholeSandbox, type TestBrokerOptions } from '../harness/broker.ts';

/** A broker with the sandbox, and what a test of a flow does there: integrate, make a link, walk through it, and look at what was left behind. */

export type Link = { id: string; url: string };
export type Answer = { status: number; location: string; headers: Headers; cookies: string[]; body: string };
export type Integrated = { id: string; redirect_uri: string };
type Provider = { definition: string; client: { client_id: string; client_secret: string }; registerRedirectUri(uri: string): void };
export type LinkFields = Record<string, unknown>;

/** Without the audit log, which is chained a moment later (test/flows/audit.test.ts looks at that), and without what calls are counted in. */
const tables = `select table_name as name from information_schema.tables
  where table_schema = 'public' and table_type = 'BASE TABLE' and table_name not in ('audit_log', 'audit_pending', 'rate_counts')`;

export async function startScene(options: TestBrokerOptions = {}) {
  const world = await startWholeSandbox(options);
  const { url, root, sql } = world;

  const admin = (project?: string): GrantryClient =>
    project === undefined ? root : createGrantryClient({ baseUrl: url, apiKey: world.broker.rootKey, project });

  /** Adds a definition to a project. */
  const define = (definition: string, project?: string) =>
    admin(project).call('PUT', `/v1/providers/${JSON.parse(definition).id}`, { body: definition });

  /** Makes a definition one of the shipped ones, so that its flows share the one callback. */
  function ship(definition: string, id: string): string {
    const { shipped } = world.broker.world;
    if (!(shipped instanceof Map)) throw new Error('The shipped definitions cannot be added to.');
    shipped.set(id, parseDefinition(JSON.stringify({ ...JSON.parse(definition), id }), { allowPrivateHosts: true }));
    return id;
  }

  /** Registers an app of a sandbox provider, and its redirect URI there. */
  async function integrate(provider: Provider, body: LinkFields & { id: string; provider: string }, project?: string): Promise<Integrated> {
    const made = await admin(project).call<Integrated>('POST', '/v1/integrations', { body: { ...provider.client, ...body } });
    if (made.redirect_uri !== null) provider.registerRedirectUri(made.redirect_uri);
    return made;
  }

  const linkTo = (integration: string, fields: LinkFields = {}, project?: string): Promise<Link> =>
    admin(project).createConnectLink({ integration, end_user: { id: 'u1', display_name: 'Ada Lovelace' }, ...fields });

  const stateOf = ({ id }: Link, project?: string) => admin(project).getConnectLink(id);

  /** Opens the link and goes on; where the browser is sent is not followed. */
  async function begin(link: Link, browser: Browser, fields: Record<string, string> = {}): Promise<string> {
    const page = await browser.open(link.url);
    expect(page.status).toBe(200);
    const left = await page.submit(fields, undefined, { stopBefore: 'http://127.0.0.1' });
    return left.location ?? '';
  }

  /** The callback URL with which the provider answers, not yet visited. */
  async function approve(authorizeUrl: string, browser: Browser, { user = 'ada', button = 'Approve' } = {}): Promise<URL> {
    const consent = await browser.open(authorizeUrl, { stopBefore: `${url}/oauth/callback` });
    const answered = consent.location === undefined ? await consent.submit({ user }, button, { stopBefore: `${url}/oauth/callback` }) : consent;
    return new URL(answered.location ?? 'about:blank');
  }

  /** A flow up to the callback. */
  async function untilCallback(
    integration: string,
    fields: LinkFields = {},
  ): Promise<{ link: Link; browser: Browser; callback: URL; authorizeUrl: string }> {
    const link = await linkTo(integration, fields);
    const browser = createBrowser();
    const authorizeUrl = await begin(link, browser);
    return { link, browser, authorizeUrl, callback: await approve(authorizeUrl, browser) };
  }

  /** One request to the broker as this browser's navigation would make it; redirects are not followed. */
  async function visit(target: URL | string, browser?: Browser, init: RequestInit = {}): Promise<Answer> {
    const cookie = browser === undefined ? '' : await browser.cookies.headerFor(String(target), 'lax');
    const response = await fetch(target, {
      redirect: 'manual',
      ...init,
      headers: { ...(cookie !== '' && { cookie }), ...Object.fromEntries(new Headers(init.headers)) },
    });
    return {
      status: response.status,
      location: response.headers.get('location') ?? '',
      headers: response.headers,
      cookies: response.headers.getSetCookie(),
      body: await response.text(),
    };
  }

  /** What is in the whole database, table by table. */
  async function database(): Promise<Record<string, string>> {
    const names = await sql<{ name: string }>(tables);
    const entries = names.map(async ({ name }) => {
      const [row] = await sql<{ text: string | null }>(`select md5(string_agg(t::text, '|' order by t::text)) as text from "${name}" t`);
      return [name, row?.text ?? 'empty'] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  async function row({ id }: Link): Promise<LinkRecord> {
    const [found] = await sql<LinkRecord>('select * from connect_links where id = $1', [id]);
    if (found === undefined) throw new Error(`There is no link ${id}.`);
    return found;
  }

  const connections = (project = 'default') =>
    sql<{ id: string; status: string; account: string | null; end_user_id: string; integration_id: string }>(
      'select * from connections where project_id = $1 and deleted_at is null',
      [project],
    );

  /** Expects the link to have failed so. */
  async function expectFailed(link: Link, code: string, project?: string): Promise<void> {
    expect(await stateOf(link, project)).toMatchObject({ status: 'failed', connection_id: null, error: { code } });
    expect(await row(link)).toMatchObject({ state_hash: null, pending_sealed: null, answer_sealed: null, inputs_sealed: null, nonce_hash: null });
  }

  async function connectionOf(link: Link, project?: string): Promise<string> {
    const { status, connection_id, error } = await stateOf(link, project);
    expect({ status, error }).toEqual({ status: 'connected', error: null });
    return connection_id ?? '';
  }

  return {
    ...world,
    providers: world.sandbox.providers,
    admin,
    define,
    ship,
    integrate,
    linkTo,
    stateOf,
    begin,
    approve,
    untilCallback,
    visit,
    database,
    row,
    connections,
    expectFailed,
    connectionOf,
  };
}

export type Scene = Awaited<ReturnType<typeof startScene>>;

/** The token calls for codes that the authorization server has seen. */
export const exchanges = ({ providers }: Scene): number => providers.authorizationServer.counters.token.authorization_code ?? 0;

/** The callback with other parameters. */
export function changed(callback: URL, change: (parameters: URLSearchParams) => void): URL {
  const copy = new URL(callback);
  change(copy.searchParams);
  return copy;
}

export type { Browser, Page };
