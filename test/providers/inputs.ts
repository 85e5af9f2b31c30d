import { generateKeyPairSync } from 'node:crypto';
import { optionsOf } from '../../src/protocol/definition/choices.ts';
import { declaredInputs } from '../../src/protocol/definition/inputs.ts';
import { matchesPattern } from '../../src/protocol/definition/pattern.ts';
import type { Definition, Input, Method } from '../../src/protocol/definition/schema.ts';

/** Values for the inputs of a definition, as an admin and an end user would give them. */

/** A key as an end user would paste it. */
export const userKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

const guesses = ['sample', 'sample1', '12345', 'eu1', 'a1b2c3d4', '0123456789abcdef0123456789abcdef', 'SAMPLE', 'A1', '1.0'];

function sampleOf(name: string, input: Input): string {
  const known = input.example ?? input.default ?? optionsOf(input)?.[0];
  if (known !== undefined) return known;
  if (input.private_key) return userKey;
  if (input.url) return 'https://custom.provider-sandbox.com';
  if (input.host) return 'custom.provider-sandbox.com';
  const { pattern } = input;
  if (pattern === undefined) return `${name}-value`;
  const fits = guesses.find((guess) => matchesPattern(pattern, guess));
  if (fits === undefined) throw new Error(`No value for ${name} fits ${pattern}: give the input an example.`);
  return fits;
}

/** By who gives them: what the integration has, what comes with each connection, and what its callback fills in. */
export function sampleInputs(definition: Definition, method: Method): Record<'integration' | 'connection' | 'callback', Record<string, string>> {
  const all = Object.entries(declaredInputs(definition, method));
  const filled = method.grant === 'authorization_code' ? method.callback.inputs : {};
  const given = (...owners: Input['asked_of'][]) =>
    Object.fromEntries(
      all
        .filter(([name, input]) => owners.includes(input.asked_of) && !Object.hasOwn(filled, name))
        .map(([name, input]) => [name, sampleOf(name, input)]),
    );
  const callback = Object.fromEntries(all.flatMap(([name, input]) => (Object.hasOwn(filled, name) ? [[name, sampleOf(name, input)]] : [])));
  return { integration: given('integration'), connection: given('end_user', 'caller'), callback };
}
