import type { Command } from 'commander';
import { id, work } from '../command.ts';
import { fieldsOf, tableOf } from '../output.ts';
import { listOf } from '../pages.ts';

export function keyCommands(program: Command): void {
  const key = program.command('key').description('API keys');

  key
    .command('create')
    .description('its text is shown this once, alone on standard output')
    .argument('<name>')
    .requiredOption('--scope <scope...>', 'connect, tokens, admin')
    .option('--expires-at <time>', 'RFC 3339')
    .action(
      work<[string, { scope: string[]; expiresAt?: string }]>(async ({ client, out }, name, { scope, expiresAt }) => {
        const body = { name, scopes: scope, ...(expiresAt !== undefined && { expires_at: expiresAt }) };
        const made = await client.call<{ id: string; key: string }>('POST', '/v1/api-keys', { body });
        out.note(`${made.id}: keep the key now, it is not shown again.`);
        out.result(made, () => made.key);
      }),
    );

  key.command('list').action(
    work<[]>(async ({ client, out }) => {
      const all = await listOf(client, '/v1/api-keys');
      out.result(all, () => tableOf(all, ['id', 'name', 'scopes', 'expires_at', 'created_at'], 'There are no keys but the root key.'));
    }),
  );

  key
    .command('revoke')
    .description('at once')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        await client.call('DELETE', `/v1/api-keys/${id(name)}`);
        out.result({ revoked: name }, () => `${name} is worth nothing any more.`);
      }),
    );
}

export function projectCommands(program: Command): void {
  const project = program.command('project').description('projects (with the root key)');
  const fields = ['id', 'name', 'return_urls', 'created_at'];

  project
    .command('create')
    .argument('<id>')
    .requiredOption('--name <name>')
    .option('--return-url <url...>', 'where browsers may be sent in the end')
    .action(
      work<[string, { name: string; returnUrl?: string[] }]>(async ({ client, out }, name, { name: title, returnUrl }) => {
        const body = { id: name, name: title, ...(returnUrl !== undefined && { return_urls: returnUrl }) };
        const made = await client.call<Record<string, unknown>>('POST', '/v1/projects', { body });
        out.result(made, () => fieldsOf(made, fields));
      }),
    );

  project.command('list').action(
    work<[]>(async ({ client, out }) => {
      const all = await listOf(client, '/v1/projects');
      out.result(all, () => tableOf(all, fields, 'There are no projects.'));
    }),
  );

  project
    .command('show')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<Record<string, unknown>>('GET', `/v1/projects/${id(name)}`);
        out.result(found, () => fieldsOf(found, fields));
      }),
    );

  project
    .command('update')
    .argument('<id>')
    .option('--name <name>')
    .option('--return-url <url...>', 'all of them: they replace those that are there')
    .action(
      work<[string, { name?: string; returnUrl?: string[] }]>(async ({ client, out }, name, { name: title, returnUrl }) => {
        const body = { ...(title !== undefined && { name: title }), ...(returnUrl !== undefined && { return_urls: returnUrl }) };
        const found = await client.call<Record<string, unknown>>('PATCH', `/v1/projects/${id(name)}`, { body });
        out.result(found, () => fieldsOf(found, fields));
      }),
    );
}
