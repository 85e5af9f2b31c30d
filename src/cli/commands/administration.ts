import type { Command } from 'commander';
import { id, numberOf, work } from '../command.ts';
import { UsageError } from '../outcome.ts';
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
    .option('--integration <id>', 'the only one that it reaches')
    .option('--end-user <id>', 'the only one that it reaches')
    .option('--address <range...>', 'where it may be used from: addresses, or ranges like 192.0.2.0/24')
    .action(
      work<[string, { scope: string[]; expiresAt?: string; integration?: string; endUser?: string; address?: string[] }]>(
        async ({ client, out }, name, { scope, expiresAt, integration, endUser, address }) => {
          const limits = {
            ...(integration !== undefined && { integration }),
            ...(endUser !== undefined && { end_user: endUser }),
            ...(address !== undefined && { addresses: address }),
          };
          const body = { name, scopes: scope, limits, ...(expiresAt !== undefined && { expires_at: expiresAt }) };
          const made = await client.call<{ id: string; key: string }>('POST', '/v1/api-keys', { body });
          out.note(`${made.id}: keep the key now, it is not shown again.`);
          out.result(made, () => made.key);
        },
      ),
    );

  key
    .command('rotate')
    .description('a key that takes the place of this one; its text is shown this once')
    .argument('<id>')
    .option('--overlap <seconds>', 'how long the old key works too (a day)')
    .action(
      work<[string, { overlap?: string }]>(async ({ client, out }, name, { overlap: given }) => {
        const overlap = numberOf('--overlap', given, 0);
        const body = { ...(overlap !== undefined && { overlap }) };
        const made = await client.call<{ id: string; key: string }>('POST', `/v1/api-keys/${id(name)}/rotate`, { body });
        out.note(`${made.id} takes the place of ${name}: keep the key now, it is not shown again.`);
        out.result(made, () => made.key);
      }),
    );

  key
    .command('show')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<Record<string, unknown>>('GET', `/v1/api-keys/${id(name)}`);
        out.result(found, () => fieldsOf(found, ['id', 'name', 'scopes', 'limits', 'expires_at', 'replaced_by', 'last_used_at', 'created_at']));
      }),
    );

  key.command('list').action(
    work<[]>(async ({ client, out }) => {
      const all = await listOf(client, '/v1/api-keys');
      out.result(all, () => tableOf(all, ['id', 'name', 'scopes', 'limits', 'expires_at', 'last_used_at'], 'There are no keys but the root key.'));
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
        if (Object.keys(body).length === 0) throw new UsageError('There is nothing to change: give --name or --return-url.');
        const found = await client.call<Record<string, unknown>>('PATCH', `/v1/projects/${id(name)}`, { body });
        out.result(found, () => fieldsOf(found, fields));
      }),
    );
  project
    .command('delete')
    .description('one without integrations and connections, for good')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        await client.call('DELETE', `/v1/projects/${id(name)}`);
        out.result({ deleted: name }, () => `${name} is gone, with its keys. Its id is not given again.`);
      }),
    );
}
