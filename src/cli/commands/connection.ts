import type { Command } from 'commander';
import { id, mostOf, numberOf, work } from '../command.ts';
import { fieldsOf, tableOf } from '../output.ts';
import { listOf } from '../pages.ts';

type ListOptions = { integration?: string; endUser?: string; organization?: string; status?: string; missingScopes?: boolean; limit?: string };
type Event = { created_at: string; type: string; what?: string; why?: string; next?: string };

const path = (name: string, rest = '') => `/v1/connections/${id(name)}${rest}`;

export function connectionCommands(program: Command): void {
  const connection = program.command('connection').description('what came of the links');

  connection
    .command('list')
    .option('--integration <id>')
    .option('--end-user <id>')
    .option('--organization <id>')
    .option('--status <status>', 'active, refresh_failing, reauthorization_required or revoked')
    .option('--missing-scopes', 'only those that were granted less than was asked for')
    .option('--limit <number>', 'at most so many')
    .action(
      work<[ListOptions]>(async ({ client, out }, options) => {
        const { integration, endUser: end_user, organization, status, missingScopes } = options;
        const query = { integration, end_user, organization, status, ...(missingScopes === true && { missing_scopes: true }) };
        const all = await listOf(client, '/v1/connections', query, mostOf(options));
        const rows = all.map((each) => ({ ...each, end_user: (each.end_user as { id: string }).id }));
        out.result(all, () =>
          tableOf(
            rows,
            ['id', 'integration', 'end_user', 'status', 'expires_at', 'failing_since', 'missing_scopes'],
            'There are no connections like that.',
          ),
        );
      }),
    );

  connection
    .command('show')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<Record<string, unknown>>('GET', path(name));
        out.result(found, () => fieldsOf(found));
      }),
    );

  connection
    .command('token')
    .description('a fresh token, and nothing else; with --json all that belongs to it')
    .argument('<id>')
    .option('--min-ttl <seconds>', 'how long it has to live at least')
    .option('--force', 'refresh it first')
    .action(
      work<[string, { minTtl?: string; force?: boolean }]>(async ({ client, out }, name, { minTtl, force }) => {
        const token = await client.call<{ access_token?: string; oauth_token?: string; password?: string }>('GET', path(name, '/token'), {
          query: { min_ttl: numberOf('--min-ttl', minTtl, 0), ...(force === true && { force }) },
        });
        out.result(token, () => token.access_token ?? token.oauth_token ?? token.password ?? '');
      }),
    );

  connection
    .command('refresh')
    .description('now, not when it is due')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<Record<string, unknown>>('POST', path(name, '/refresh'));
        out.result(found, () => fieldsOf(found, ['id', 'status', 'expires_at', 'last_refreshed_at', 'next_refresh_at', 'last_error']));
      }),
    );

  connection
    .command('probe')
    .description('ask the provider whether the credential works')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<{ outcome: string; status: number }>('POST', path(name, '/probe'));
        out.result(found, () => `${found.outcome} (HTTP ${found.status})`);
      }),
    );

  connection
    .command('revoke')
    .description('end it at the provider and erase it')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        await client.call('DELETE', path(name));
        out.result({ revoked: name }, () => `${name} is erased. The provider is told until it has heard, for about a day.`);
      }),
    );

  connection
    .command('events')
    .description('what happened, why, and what comes next')
    .argument('<id>')
    .option('--limit <number>', 'at most so many', '20')
    .action(
      work<[string, { limit?: string }]>(async ({ client, out }, name, options) => {
        const events = await listOf(client, path(name, '/events'), {}, mostOf(options));
        const shown = (events as Event[]).map(({ created_at, type, what, why, next }) =>
          [`${created_at}  ${type}`, ...[what, why, next].flatMap((text) => (text ? [`  ${text}`] : []))].join('\n'),
        );
        out.result(events, () => (shown.length === 0 ? 'Nothing has happened yet.' : shown.join('\n')));
      }),
    );
}
