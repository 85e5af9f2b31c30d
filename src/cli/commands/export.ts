import { Argument, type Command } from 'commander';
import { id, type Work, work } from '../command.ts';
import { entriesOf } from '../pages.ts';
import { createProgress } from '../progress.ts';

const kinds = ['connections', 'integrations', 'providers', 'all'];

async function* entriesToExport({ client }: Work, kind: string): AsyncGenerator<Record<string, unknown>> {
  const wanted = (each: string) => kind === 'all' || kind === each;
  if (wanted('providers')) {
    for await (const provider of entriesOf(client, '/v1/providers')) {
      if (provider.source !== 'own') continue;
      const yaml = await client.call<string>('GET', `/v1/providers/${id(String(provider.id))}`, { accept: 'application/yaml' });
      yield { kind: 'provider', id: provider.id, version: provider.version, yaml };
    }
  }
  for (const each of ['integrations', 'connections'] as const) {
    if (!wanted(each)) continue;
    for await (const entry of entriesOf(client, `/v1/${each}`)) yield { kind: each.slice(0, -1), ...entry };
  }
}

export function exportCommand(program: Command): void {
  program
    .command('export')
    .description('JSON lines; there is no secret in them')
    .addArgument(new Argument('[kind]').choices(kinds).default('all'))
    .action(
      work<[string]>(async (on, kind) => {
        // Lines that pass by on the terminal are a sign of life themselves.
        const bar = process.stdout.isTTY ? undefined : createProgress(on.json, '{value} lines');
        let count = 0;
        try {
          for await (const entry of entriesToExport(on, kind)) {
            on.out.line(JSON.stringify(entry));
            count += 1;
            bar?.at(count, count);
          }
        } finally {
          bar?.stop();
        }
      }),
    );
}
