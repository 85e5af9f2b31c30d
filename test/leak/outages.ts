import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { connect, walk } from './connecting.ts';
import { fileItems, type Item } from './sinks.ts';
import { type Stage, until } from './stage.ts';

/** What nobody expects: tables that are gone under a running request, a database that goes away while a provider's answer is under way. */

const tables = ['api_keys', 'integrations', 'connect_links', 'connections', 'code_ledger', 'webhook_deliveries'];

async function useEverything(stage: Stage, connection: string): Promise<void> {
  const { root, recorder, markers } = stage;
  const key = markers.make('wrong key', 'broker');
  const body = { integration: 'keys', end_user: { id: 'x' }, inputs: { api_key: markers.make('end user secret', 'keys') } };
  const integration = { id: 'gone', provider: 'post', client_id: 'x', client_secret: markers.make('client secret', 'post', 'odd') };
  const calls = [
    () => root.getToken(connection),
    () => root.call('POST', '/v1/connections', { body: { ...body, grant: 'api_key' }, idempotencyKey: `gone-${Math.random()}` }),
    () => root.call('POST', '/v1/connect-links', { body }),
    () => root.call('POST', '/v1/integrations', { body: integration }),
    () => root.call('PATCH', '/v1/integrations/post', { body: { client_secret: integration.client_secret } }),
    () => root.call('DELETE', `/v1/connections/${connection}x`),
    () => root.call('POST', '/v1/webhook-endpoints', { body: { url: `${stage.talker.url}/hooks/in` } }),
    () => fetch(`${recorder.url}/v1/connections`, { headers: { authorization: `Bearer grt_${key}` } }),
    () => createBrowser().open(`${recorder.url}/connect/${markers.make('misplaced secret', 'broker')}`),
    () => createBrowser().open(`${recorder.url}/oauth/callback?code=${markers.make('code', 'post')}&state=${markers.make('state', 'post')}`),
  ];
  await Promise.all(calls.map((call) => call().catch(() => undefined)));
}

/** Every table is taken away once, while everything is asked for. */
async function loseTables(stage: Stage, connection: string): Promise<void> {
  const { sql, recorder } = stage;
  const before = recorder.answers.filter(({ status }) => status === 500).length;
  for (const table of tables) {
    await sql(`alter table ${table} rename to ${table}_gone`);
    await useEverything(stage, connection);
    if (table === 'code_ledger') await walk(stage, 'post').catch(() => undefined);
    await sql(`alter table ${table}_gone rename to ${table}`);
  }
  if (recorder.answers.filter(({ status }) => status === 500).length - before < tables.length) throw new Error('Too little went wrong.');
}

/** The database goes while a refresh is under way: what the provider gives is kept on the disk meanwhile. Returns what lay there. */
async function loseDatabase(stage: Stage): Promise<Item[]> {
  const { talker, line, root, directories } = stage;
  const id = await connect(stage, 'spills');
  talker.answers('spills', 'token', 'waits');
  let asked: Promise<unknown> = Promise.resolve();
  let refreshed: Promise<unknown> | undefined;
  talker.onWaiting = async () => {
    refreshed = asked;
    await line.cut();
  };
  // The breaker of the host may be open, after all that went wrong there: then the living token is handed out, and nothing is sent.
  await until(
    async () => {
      asked = root.getToken(id, { force: true }).catch(() => undefined);
      await Promise.race([asked, sleep(2_000)]);
      return refreshed !== undefined;
    },
    (isSent) => isSent,
  );
  const spill = join(directories.data, 'spill');
  await until(
    () => readdir(spill).catch(() => []),
    (names) => names.some((name) => name.endsWith('.json')),
  );
  const kept = await fileItems('spill', spill);
  await useEverything(stage, id);
  talker.answers('spills', 'token', 'well');
  await line.mend();
  await refreshed;
  await until(
    () => root.call('GET', `/v1/connections/${id}`).catch(() => undefined),
    (seen) => seen !== undefined,
  );
  return kept;
}

export async function playOutages(stage: Stage, connection: string): Promise<Item[]> {
  await loseTables(stage, connection);
  return loseDatabase(stage);
}
