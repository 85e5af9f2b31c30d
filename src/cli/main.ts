#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { keyCommands, projectCommands } from './commands/administration.ts';
import { auditCommands } from './commands/audit.ts';
import { connectionCommands } from './commands/connection.ts';
import { doctorCommand } from './commands/doctor.ts';
import { encryptionCommands } from './commands/encryption.ts';
import { exportCommand } from './commands/export.ts';
import { importCommand } from './commands/import.ts';
import { integrationCommands } from './commands/integration.ts';
import { linkCommands } from './commands/link.ts';
import { providerCommands } from './commands/provider.ts';
import { completionCommand } from './completion.ts';
import { exitCodes, outcomeOf } from './outcome.ts';
import { forEyes } from './output.ts';
import { defaultUrl, type GlobalOptions, urlOf } from './settings.ts';

/** The command line. It speaks to the REST API and to nothing else. */

/** Also where the rest cannot be read. */
const wantsJson = (): boolean => process.argv.includes('--json');

const program = new Command('grantry')
  .description('The command line of Grantry, an open OAuth broker.')
  .option('--url <address>', `where the broker is; GRANTRY_URL, or ${defaultUrl}, without`)
  .option('--api-key-file <file>', 'a file with the API key; GRANTRY_API_KEY, or the root key of the broker here, without')
  .option('--project <id>', 'with the root key: the project that is meant')
  .option('--json', 'answers as JSON, for programs')
  .showSuggestionAfterError()
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  // A program is told in the way that it asked for.
  .configureOutput({ outputError: (text, write) => (wantsJson() ? undefined : write(text)) })
  .addHelpText('after', '\nEnds with 0: done. 1: it failed. 2: wrong call. 3: the broker cannot be reached. 4: not allowed. 130: broken off.');

for (const add of [
  providerCommands,
  integrationCommands,
  linkCommands,
  connectionCommands,
  keyCommands,
  projectCommands,
  importCommand,
  exportCommand,
  auditCommands,
  encryptionCommands,
  doctorCommand,
  completionCommand,
])
  add(program);

/** What Commander throws for `--help` is no error. */
function endOf(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.ok;
    const isHelp = error.code === 'commander.help'; // a command without its subcommand: the help is told already
    if (wantsJson() && !isHelp) process.stderr.write(`${JSON.stringify({ code: 'usage', detail: error.message.replace(/^error: /, '') })}\n`);
    return exitCodes.usage;
  }
  const { text, exitCode, problem } = outcomeOf(error, urlOf(program.opts<GlobalOptions>(), process.env));
  const said = wantsJson() ? JSON.stringify(problem) : forEyes(text, process.stderr);
  if (said !== '') process.stderr.write(`${said}\n`);
  return exitCode;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads us may have seen enough, as with `| head`; a full disk is another thing.
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? exitCodes.ok);
  process.stderr.write(`The output cannot be written: ${error.message}.\n`);
  process.exit(exitCodes.failed);
});
// What stands at the end of a process is done also when it is broken off: a terminal gets its cursor back.
process.once('SIGINT', () => process.exit(exitCodes.aborted));
// What is said beside the result changes nothing of the work.
process.stderr.on('error', () => {});
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = endOf(error);
}
