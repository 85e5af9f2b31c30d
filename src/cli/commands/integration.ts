import type { Command } from 'commander';
import { type InputOptions, id, inputsOf, mostOf, work } from '../command.ts';
import { UsageError } from '../outcome.ts';
import { fieldsOf, tableOf } from '../output.ts';
import { listOf } from '../pages.ts';
import { readSecret, readText } from '../secret.ts';

type AddOptions = InputOptions & {
  provider: string;
  method?: string;
  clientId?: string;
  clientSecretFile?: string;
  secret: boolean;
  privateKeyFile?: string;
  keyId?: string;
  scope?: string[];
  callback?: string;
  verification?: string;
};

/** The members of the request for a private key in PEM form, or as a JWK. */
function keyFrom(file: string, keyId: string | undefined): Record<string, unknown> {
  const text = readText(file);
  if (text.trimStart().startsWith('-----BEGIN')) return { private_key_pem: text, ...(keyId !== undefined && { private_key_id: keyId }) };
  if (keyId !== undefined) throw new UsageError('--key-id belongs to a key in PEM form; a JWK has its own as kid.');
  try {
    return { private_key_jwk: JSON.parse(text) };
  } catch {
    throw new UsageError(`${file} holds no private key: it must be PEM (-----BEGIN PRIVATE KEY-----) or a JWK.`);
  }
}

const shown = [
  'id',
  'provider',
  'method',
  'status',
  'client_id',
  'has_client_secret',
  'client_secret_count',
  'has_private_key',
  'scopes',
  'inputs',
  'callback',
  'redirect_uri',
  'verification',
  'created_at',
];

export function integrationCommands(program: Command): void {
  const integration = program.command('integration').description('your registrations at providers');

  integration
    .command('add')
    .description('register: a provider, and the client that it gave you')
    .argument('<id>')
    .requiredOption('--provider <id>')
    .option('--method <name>', 'the way to obtain a credential; the first one without')
    .option('--client-id <id>')
    .option('--client-secret-file <file>', 'a file with the client secret; - for standard input. Asked for without')
    .option('--no-secret', 'the client has no secret')
    .option('--private-key-file <file>', 'a file with the private key, in PEM form (.pem, .p8) or as a JWK')
    .option('--key-id <id>', 'what the provider calls a key in PEM form (kid)')
    .option('--scope <scope...>')
    .option('--input <name=value...>', 'values that complete the definition')
    .option('--input-file <name=file...>', 'the same for secret ones: others could read an argument')
    .option('--callback <kind>', 'shared or own')
    .option('--verification <kind>', 'browser or user')
    .action(
      work<[string, AddOptions]>(async ({ client, out }, name, options) => {
        const needsSecret = options.clientId !== undefined && options.secret && options.privateKeyFile === undefined;
        const file = options.clientSecretFile;
        const client_secret =
          needsSecret || file !== undefined
            ? await readSecret({ file, what: 'client secret', option: '--client-secret-file (or --no-secret)' })
            : undefined;
        const inputs = await inputsOf(options);
        const body = {
          id: name,
          provider: options.provider,
          ...(options.method !== undefined && { method: options.method }),
          ...(options.clientId !== undefined && { client_id: options.clientId }),
          ...(client_secret !== undefined && { client_secret }),
          ...(options.privateKeyFile !== undefined && keyFrom(options.privateKeyFile, options.keyId)),
          ...(options.scope !== undefined && { scopes: options.scope }),
          ...(inputs !== undefined && { inputs }),
          ...(options.callback !== undefined && { callback: options.callback }),
          ...(options.verification !== undefined && { verification: options.verification }),
        };
        const made = await client.call<Record<string, unknown>>('POST', '/v1/integrations', { body });
        out.result(made, () => fieldsOf(made, shown));
        if (made.redirect_uri !== null) out.note('\nRegister the redirect_uri at the provider, exactly as it stands there.');
      }),
    );

  integration
    .command('list')
    .option('--limit <number>', 'at most so many')
    .action(
      work<[{ limit?: string }]>(async ({ client, out }, options) => {
        const all = await listOf(client, '/v1/integrations', {}, mostOf(options));
        out.result(all, () =>
          tableOf(
            all,
            ['id', 'provider', 'method', 'status', 'client_id', 'redirect_uri'],
            'There are no integrations yet: grantry integration add.',
          ),
        );
      }),
    );

  integration
    .command('show')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        const found = await client.call<Record<string, unknown>>('GET', `/v1/integrations/${id(name)}`);
        out.result(found, () => fieldsOf(found, shown));
      }),
    );

  integration
    .command('rotate-secret')
    .description('give the new client secret; with --keep-old-file both are tried until you say it again without')
    .argument('<id>')
    .option('--client-secret-file <file>', 'a file with the new secret; - for standard input. Asked for without')
    .option('--keep-old-file <file>', 'a file with the old secret, which still holds at the provider for a while')
    .action(
      work<[string, { clientSecretFile?: string; keepOldFile?: string }]>(async ({ client, out }, name, options) => {
        const secret = await readSecret({ file: options.clientSecretFile, what: 'new client secret', option: '--client-secret-file' });
        const old =
          options.keepOldFile === undefined
            ? []
            : [await readSecret({ file: options.keepOldFile, what: 'old client secret', option: '--keep-old-file' })];
        const body = { client_secrets: [secret, ...old] };
        const found = await client.call<Record<string, unknown>>('PATCH', `/v1/integrations/${id(name)}`, { body });
        out.result(
          found,
          () =>
            `${name} has ${old.length === 0 ? 'its new client secret' : 'both client secrets; the new one is tried first'}. Connections that waited for it go on by themselves.`,
        );
      }),
    );

  integration
    .command('remove')
    .argument('<id>')
    .action(
      work<[string]>(async ({ client, out }, name) => {
        await client.call('DELETE', `/v1/integrations/${id(name)}`);
        out.result({ removed: name }, () => `${name} is removed.`);
      }),
    );
}
