#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { keyCommands, projectCommands } from './commands/administration.ts';
import { auditCommands } from './commands/audit.ts';
import { connectionCommands } from './commands/connection.ts';
import { doctorCommand } from './commands/doctor.ts';
import { encryptionCommands } from './commands/encryption.ts';
import { integrationCommands } from './commands/integration.ts';
import { linkCommands } from './commands/link.ts';
import { providerCommands } from './commands/provider.ts';
import { transferCommands } from './commands/transfer.ts';
import { completionCommand } from './completion.ts';
import { exitCodes, outcomeOf } from './outcome.ts';
import { defaultUrl, type GlobalOptions, urlOf } from './settings.ts';

/** The command line. It speaks to the REST API and to nothing else. */

const program = new Command('grantry')
  .description('The command line of Grantry, an open OAuth broker.')
  .option('--url <address>', `where the broker is; GRANTRY_URL, or ${defaultUrl}, without`)
  .option('--api-key-file <file>', 'a file with the API key; GRANTRY_API_KEY, or the root key of a broker started here, without')
  .option('--project <id>', 'with the root key: the project that is meant')
  .option('--json', 'answers as JSON, for programs')
  .showSuggestionAfterError()
  .exitOverride()
  .addHelpText('after', '\nEnds with 0: done. 1: it failed. 2: wrong call. 3: the broker cannot be reached. 4: not allowed.');

for (const add of [
  providerCommands,
  integrationCommands,
  linkCommands,
  connectionCommands,
  keyCommands,
  projectCommands,
  transferCommands,
  auditCommands,
  encryptionCommands,
  doctorCommand,
  completionCommand,
])
  add(program);

/** What Commander throws for `--help` is no error. */
function endOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const options = program.opts<GlobalOptions>();
  const { text, exitCode, problem } = outcomeOf(error, urlOf(options, process.env));
  process.stderr.write(`${options.json === true ? JSON.stringify(problem) : text}\n`);
  return exitCode;
}

// Whoever reads us may have seen enough, as with `| head`.
process.stdout.on('error', () => process.exit(exitCodes.ok));
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = endOf(error);
}
