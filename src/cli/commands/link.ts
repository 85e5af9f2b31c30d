import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { openBrowser } from '../browser.ts';
import { type InputOptions, id, inputsOf, numberOf, work } from '../command.ts';
import { FailedWork } from '../outcome.ts';
import { fieldsOf } from '../output.ts';
import { askPatiently } from '../patience.ts';

type CreateOptions = InputOptions & {
  endUser: string;
  name?: string;
  organization?: string;
  returnUrl?: string;
  scope?: string[];
  connection?: string;
  expiresIn?: string;
  open?: boolean;
  wait?: boolean;
};

const ended = ['connected', 'failed', 'expired'];

export function linkCommands(program: Command): void {
  const link = program.command('link').description('links at which an end user connects');

  link
    .command('create')
    .argument('<integration>')
    .requiredOption('--end-user <id>', 'who connects, as your app knows her')
    .option('--name <name>', 'what the page calls her')
    .option('--organization <id>')
    .option('--return-url <url>', 'where the browser goes in the end; one that the project has registered')
    .option('--scope <scope...>')
    .option('--input <name=value...>', 'values that complete the definition')
    .option('--input-file <name=file...>', 'the same for secret ones: others could read an argument')
    .option('--connection <id>', 'a reconnect of this one')
    .option('--expires-in <seconds>')
    .option('--open', 'open it in a browser')
    .option('--wait', 'until it has connected, failed or expired')
    .action(
      work<[string, CreateOptions]>(async ({ client, out }, integration, options) => {
        const inputs = await inputsOf(options);
        const expiresIn = numberOf('--expires-in', options.expiresIn);
        const made = await client.createConnectLink({
          integration,
          end_user: {
            id: options.endUser,
            ...(options.name !== undefined && { display_name: options.name }),
            ...(options.organization !== undefined && { organization_id: options.organization }),
          },
          ...(options.returnUrl !== undefined && { return_url: options.returnUrl }),
          ...(options.scope !== undefined && { scopes: options.scope }),
          ...(inputs !== undefined && { inputs }),
          ...(options.connection !== undefined && { connection_id: options.connection }),
          ...(expiresIn !== undefined && { expires_in: expiresIn }),
        });
        if (options.open === true && !(await openBrowser(made.url))) out.note('No browser could be opened here: open the link yourself.');
        if (options.wait !== true) return out.result(made, () => made.url);
        out.ahead({ id: made.id, url: made.url }, made.url);
        for (;;) {
          const now = await askPatiently(() => client.getConnectLink(made.id));
          if (ended.includes(now.status)) {
            out.result(now, () => fieldsOf({ status: now.status, connection_id: now.connection_id, missing_scopes: now.missing_scopes }));
            if (now.status !== 'connected')
              throw new FailedWork(now.error === null ? 'The link has expired.' : `${now.error.code}: ${now.error.detail}`);
            return;
          }
          await sleep(1_000);
        }
      }),
    );

  link
    .command('show')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<Record<string, unknown>>('GET', `/v1/connect-links/${id(name)}`);
        out.result(found, () => fieldsOf(found));
      }),
    );
}
