import { Command } from 'commander';
import type { GrantryClient } from '../client/client.ts';
import { UsageError } from './outcome.ts';
import { createOutput, type Output } from './output.ts';
import { readSecret } from './secret.ts';
import { type GlobalOptions, readSettings, urlOf } from './settings.ts';

/** What a command works with. */
export type Work = { client: GrantryClient; url: string; json: boolean; out: Output };

/** Only the root key can choose: with another one the work would be done in that key's project, whatever was named. Throws UsageError. */
async function requireProject(client: GrantryClient, claimed: string): Promise<void> {
  const { project } = await client.call<{ project: string }>('GET', '/v1/api-keys/current');
  if (project !== claimed)
    throw new UsageError(`This key is of the project "${project}", and reaches no other: leave --project out, or give the root key.`);
}

/** A command whose work is done with the settings of the whole command line; the options of the command come last. */
export function work<Args extends unknown[]>(run: (work: Work, ...args: Args) => Promise<void>): (...args: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1);
    if (!(command instanceof Command)) throw new Error('Commander gives the command last.');
    const options = command.optsWithGlobals<GlobalOptions>();
    const { client, url, claimed } = readSettings(options, process.env);
    if (claimed !== undefined) await requireProject(client, claimed);
    await run({ client, url, json: options.json === true, out: createOutput(options.json === true) }, ...(given.slice(0, -1) as Args));
  };
}

export const addressOf = (command: Command): string => urlOf(command.optsWithGlobals<GlobalOptions>(), process.env);

/** `name=value`, several times, as an object. Throws UsageError. */
export function pairsOf(given: readonly string[] | undefined): Record<string, string> | undefined {
  if (given === undefined) return undefined;
  const pairs = given.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`"${pair}" must be name=value.`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(pairs);
}

export type InputOptions = { input?: string[]; inputFile?: string[] };

/** Values that complete a definition; one that is secret stands in a file. Throws UsageError. */
export async function inputsOf({ input, inputFile }: InputOptions): Promise<Record<string, string> | undefined> {
  const files = Object.entries(pairsOf(inputFile) ?? {});
  const secrets: [string, string][] = [];
  for (const [name, file] of files) secrets.push([name, await readSecret({ file, what: `value of ${name}`, option: '--input-file' })]);
  const given = pairsOf(input);
  return given === undefined && files.length === 0 ? undefined : { ...given, ...Object.fromEntries(secrets) };
}

/** An id as a part of a path. Throws UsageError for what would lead to another path. */
export function id(text: string): string {
  if (/^\.{0,2}$/.test(text)) throw new UsageError(`"${text}" is no id.`);
  return encodeURIComponent(text);
}

/** A whole number from `least` on, or undefined when it was not given. Throws UsageError. */
export function numberOf(option: string, given: string | undefined, least = 1): number | undefined {
  if (given === undefined) return undefined;
  const number = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
  if (!(number >= least)) throw new UsageError(`${option} must be a whole number from ${least} on.`);
  return number;
}

/** Options with which a list may be cut short. */
export const mostOf = ({ limit }: { limit?: string }): number => numberOf('--limit', limit) ?? Infinity;
