import { background } from './demo/background.ts';
import { type People, peopleInChromium, peopleOverHttp } from './demo/person.ts';
import { createReport } from './demo/report.ts';
import { type Play, type Scene, scenes } from './demo/scenes.ts';
import { type Stage, setStage } from './demo/stage.ts';

/**
 * npm run demo: the main job end to end on embedded defaults. `--browser` plays the people in Chromium, `--stay` leaves
 * everything running. Exit code 0, or 1 with the step that failed and why.
 */

const flags = new Set(process.argv.slice(2));
const report = createReport((line) => process.stdout.write(`${line}\n`));

function expiresIn(at: string | null): string {
  return at === null ? 'never' : `${Math.max(0, Math.round((Date.parse(at) - Date.now()) / 1000))} s`;
}

async function table(stage: Stage, connections: Play['connections']): Promise<void> {
  type Shown = { id: string; provider: string; status: string; expires_at: string | null; refresh_count: number };
  const rows = await Promise.all(
    connections.map(async ({ id, note }) => {
      const shown = await stage.integration.call<Shown>('GET', `/v1/connections/${id}`);
      return [shown.provider, note, id, shown.status, expiresIn(shown.expires_at), String(shown.refresh_count)];
    }),
  );
  report.plain('');
  report.table([['provider', 'grant', 'connection', 'status', 'expires in', 'refreshed'], ...rows]);
}

async function linksToTry(stage: Stage): Promise<void> {
  report.plain('\nEverything stays up. Open one of these, each is good for an hour; press Ctrl-C to end.');
  for (const integration of ['web', 'phonegap', 'nexmo', 'oauth1', 'oauth1-pin', 'keys']) {
    const { url } = await stage.integration.createConnectLink({ integration, end_user: { id: 'you', display_name: 'You' }, expires_in: 3600 });
    report.plain(`   ${integration.padEnd(12)} ${url}`);
  }
  report.plain(`   API reference ${stage.broker.publicUrl}/docs   root key ${stage.broker.rootKey}`);
  report.plain(`   an API key for the key service: ${stage.sandbox.providers.keyService.issueKey('you')}`);
}

async function main(): Promise<void> {
  const unknown = [...flags].find((flag) => flag !== '--browser' && flag !== '--stay');
  if (unknown !== undefined) throw new Error(`There is no option ${unknown}; there are --browser and --stay.`);
  const startedAt = performance.now();
  report.plain('Grantry: starting the broker on an embedded Postgres, and the sandbox providers ...');
  const stage = await setStage();
  let people: People | undefined;
  let playing: Scene | undefined;
  try {
    people = flags.has('--browser') ? await peopleInChromium() : peopleOverHttp();
    report.plain(`Grantry is at ${stage.broker.publicUrl}`);
    const play: Play = { stage, people, report, connections: [] };
    for (const scene of [...scenes, background]) {
      playing = scene;
      report.chapter(scene.title);
      await scene.play(play);
    }
    playing = undefined;
    await table(stage, play.connections);
    report.plain(`\nAll of it worked, in ${Math.round((performance.now() - startedAt) / 1000)} s.`);
    if (flags.has('--stay')) {
      await linksToTry(stage);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
    }
  } catch (error) {
    if (playing !== undefined && error instanceof Error) throw new Error(`"${playing.title}" failed: ${error.message}`, { cause: error });
    throw error;
  } finally {
    await people?.close();
    await stage.close();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
