import type { Command } from 'commander';
import { id, mostOf, numberOf, work } from '../command.ts';
import { tableOf } from '../output.ts';
import { listOf } from '../pages.ts';
import { readInput } from '../secret.ts';
import { followTest, type TestOptions } from './test-trace.ts';

type Warning = { pointer: string; code: string; detail: string };
type ShownRequest = { step: string; method: string; url: string; headers: Record<string, string>; body: string | null };
type Validation = { id: string; warnings: Warning[]; methods: { id: string; grant: string; requests: ShownRequest[] }[] };
type Discovery = {
  definition: { id: string };
  yaml: string;
  notes: string[];
  warnings: Warning[];
  existing: null | { id: string; differences: { pointer: string; ours: unknown; theirs: unknown }[] };
};

const yaml = { contentType: 'application/yaml' };
const warningLines = (warnings: readonly Warning[]): string[] =>
  warnings.map(({ pointer, code, detail }) => `warning ${pointer === '' ? '/' : pointer} (${code})\n  ${detail}`);

function requestLines({ step, method, url, headers, body }: ShownRequest): string[] {
  return [
    `    ${step}`,
    `      ${method} ${url}`,
    ...Object.entries(headers).map(([name, value]) => `      ${name}: ${value}`),
    ...(body === null ? [] : [`      ${body}`]),
  ];
}

export function providerCommands(program: Command): void {
  const provider = program.command('provider').description('definitions of third parties');

  provider
    .command('list')
    .description('the catalogue, shipped and own')
    .argument('[search]', 'part of the id, name, an alias or a category')
    .option('--grant <grant>', 'only those with this grant')
    .option('--limit <number>', 'at most so many')
    .action(
      work<[string | undefined, { grant?: string; limit?: string }]>(async ({ client, out }, q, options) => {
        const found = await listOf(client, '/v1/providers', { q, grant: options.grant }, mostOf(options));
        const rows = found.map((each) => ({
          ...each,
          methods: (each.methods as { id: string; grant: string }[]).map((method) => `${method.id}:${method.grant}`),
        }));
        out.result(found, () => tableOf(rows, ['id', 'name', 'source', 'status', 'methods'], 'No provider is called so.'));
      }),
    );

  provider
    .command('show')
    .description('one definition, as it was written')
    .argument('<id>')
    .option('--version <number>', 'an earlier version of your own')
    .option('--history', 'the versions that there are')
    .action(
      work<[string, { version?: string; history?: boolean }]>(async ({ client, out, json }, provider, { version, history }) => {
        const path = `/v1/providers/${id(provider)}`;
        const number = numberOf('--version', version);
        if (history === true) {
          const versions = await listOf(client, `${path}/versions`);
          const rows = versions.map((each) => ({ ...each, made_by: (each.made_by as { name: string } | null)?.name }));
          return out.result(versions, () =>
            tableOf(rows, ['version', 'current', 'made_by', 'created_at'], 'There are no versions: the definition is a shipped one.'),
          );
        }
        const from = number === undefined ? path : `${path}/versions/${number}`;
        if (json) return out.result(await client.call('GET', from), () => '');
        const text = await client.call<string>('GET', from, { accept: 'application/yaml' });
        out.result(text, () => text.trimEnd());
      }),
    );

  provider
    .command('validate')
    .description('faults, warnings, and the requests that would be sent; stores nothing')
    .argument('<file>', 'YAML or JSON; - for standard input')
    .option('--requests', 'show the requests')
    .action(
      work<[string, { requests?: boolean }]>(async ({ client, out }, file, { requests }) => {
        const answer = await client.call<Validation>('POST', '/v1/providers/validate', { body: await readInput(file), ...yaml });
        out.result(answer, () => {
          const shown = answer.methods.flatMap((method) => [
            `  ${method.id} (${method.grant})`,
            ...(requests === true ? method.requests.flatMap(requestLines) : []),
          ]);
          return [`${answer.id} is a sound definition.`, ...shown, ...warningLines(answer.warnings)].join('\n');
        });
      }),
    );

  provider
    .command('add')
    .description('store a definition of your own, or a new version of it')
    .argument('<file>', 'YAML or JSON; - for standard input')
    .action(
      work<[string]>(async ({ client, out }, file) => {
        const body = await readInput(file);
        // The broker reads the id; validating first tells all faults at once.
        const { id: name } = await client.call<Validation>('POST', '/v1/providers/validate', { body, ...yaml });
        const stored = await client.call<{ version: number; warnings: Warning[] }>('PUT', `/v1/providers/${id(name)}`, { body, ...yaml });
        out.result(stored, () => [`${name} is stored, version ${stored.version}.`, ...warningLines(stored.warnings)].join('\n'));
      }),
    );

  provider
    .command('rollback')
    .description('make an earlier version the current one again')
    .argument('<id>')
    .argument('<version>')
    .action(
      work<[string, string]>(async ({ client, out }, provider, version) => {
        const body = { version: numberOf('The version', version) };
        const stored = await client.call<{ version: number }>('POST', `/v1/providers/${id(provider)}/rollback`, { body });
        out.result(stored, () => `${provider} is as version ${version} was; this is version ${stored.version}.`);
      }),
    );

  provider
    .command('remove')
    .description('remove a definition of your own; a shipped one of the same id holds again')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, provider) => {
        await client.call('DELETE', `/v1/providers/${id(provider)}`);
        out.result({ removed: provider }, () => `${provider} is removed.`);
      }),
    );

  provider
    .command('discover')
    .description('draft a definition from what a server publishes (RFC 8414, OpenID Connect); stores nothing')
    .argument('<issuer>')
    .option('--compare <id>', 'the definition to compare with')
    .action(
      work<[string, { compare?: string }]>(async ({ client, out }, issuer, { compare }) => {
        const found = await client.call<Discovery>('POST', '/v1/providers/discover', {
          body: { issuer, ...(compare !== undefined && { provider: compare }) },
        });
        for (const note of found.notes) out.note(note);
        for (const line of warningLines(found.warnings)) out.note(line);
        const { existing } = found;
        if (existing !== null)
          out.note(
            existing.differences.length === 0
              ? `${existing.id} says the same.`
              : `${existing.id} says otherwise:\n${tableOf(existing.differences, ['pointer', 'ours', 'theirs'], '')}`,
          );
        out.result(found, () => found.yaml.trimEnd());
      }),
    );

  provider
    .command('test')
    .description('connect an account of your own with an integration, and see each step')
    .argument('<integration>')
    .option('--open', 'open the link in a browser')
    .option('--input <name=value...>', 'values that the link brings along')
    .option('--input-file <name=file...>', 'the same for secret ones: others could read an argument')
    .action(work<[string, TestOptions]>((on, integration, options) => followTest(on, integration, options)));
}
