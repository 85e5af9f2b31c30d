import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openProgram, type Ran } from '../cli/program.ts';
import type { Stage } from './stage.ts';

/** The command line with everything secret that it takes; what it printed and the files that it left. */

export type Typed = { command: string; ran: Ran };
export type CommandLine = {
  typed: Typed[];
  /** The directory of what it wrote by itself. */
  written: string;
};

export async function playCommandLine(stage: Stage, connection: string): Promise<CommandLine> {
  const { env, recorder, markers, directories, secretOf } = stage;
  const given = join(directories.work, 'given');
  const written = join(directories.work, 'written');
  await Promise.all([mkdir(given), mkdir(written)]);
  const token = (owner: string) => markers.make('access token', owner);
  const lineOf = (n: number) =>
    JSON.stringify({
      integration: 'post',
      end_user: { id: `cli-${n}` },
      import: { access_token: token('post'), refresh_token: markers.make('refresh token', 'post') },
    });
  const files = {
    secret: secretOf('cli'),
    new: markers.make('client secret', 'cli'),
    key: markers.make('wrong key', 'broker'),
    tokens: [
      lineOf(1),
      lineOf(2),
      `{"integration": "post", "import": {"access_token": "${token('post')}"`,
      `{"integration": "nowhere", "end_user": {"id": "x"}, "import": {"access_token": "${token('post')}"}}`,
    ].join('\n'),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(given, name), text);
  const program = await openProgram();
  const as = { GRANTRY_URL: recorder.url, GRANTRY_API_KEY: env.GRANTRY_ROOT_KEY ?? '', HOME: written };
  const commands = [
    `integration add cli --provider post --client-id x --client-secret-file ${given}/secret`,
    `integration rotate-secret cli --client-secret-file ${given}/new --keep-old-file ${given}/secret`,
    `import ${given}/tokens --report ${written}/report.jsonl`,
    '--json export',
    `connection token ${connection}`,
    'key create worker --scope tokens',
    `audit export --file ${written}/audit.jsonl`,
    `audit verify --file ${written}/audit.jsonl`,
    'audit verify',
    'encryption status --count',
    `--api-key-file ${given}/key connection list`,
    `connection show ${markers.make('misplaced secret', 'broker')} --api-key ${markers.make('misplaced secret', 'broker')}`,
  ];
  try {
    const typed: Typed[] = [];
    for (const command of commands) typed.push({ command, ran: await program.run(command.split(' '), as) });
    const created = typed.find(({ command }) => command.startsWith('key create'));
    markers.note('api key', 'broker', /grt_\S+/.exec(created?.ran.out ?? '')?.[0]);
    return { typed, written };
  } finally {
    await program.remove();
  }
}
