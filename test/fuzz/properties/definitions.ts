import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { grantFor } from '../../../src/grants/index.ts';
import { writeDocument } from '../../../src/protocol/definition/document.ts';
import { completeInputs } from '../../../src/protocol/definition/inputs.ts';
import { type ParseOptions, parseDefinition, parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import type { Definition, Method } from '../../../src/protocol/definition/schema.ts';
import { warningsOf } from '../../../src/protocol/definition/warnings.ts';
import type { Started } from '../../../src/protocol/grant.ts';
import { createChance } from '../chance.ts';
import { mustBeFaults, mustBeSound, samples } from '../definition-oracle.ts';
import { definitionMaker } from '../definitions.ts';
import { damaged } from '../odd.ts';
import { must, type Property } from '../property.ts';
import { mustBeUnpolluted } from '../token-oracle.ts';

const now = () => new Date('2026-11-20T12:00:00Z');
const requestToken = 'oauth_token=rt&oauth_token_secret=secret&oauth_callback_confirmed=true';
const redirectUri = 'https://connect.acme.com/oauth/callback';
const state = 'STATE-0123456789-STATE';

/** The first step of a flow, as it is made for a browser; undefined when some input still has to be asked for. */
async function begin(definition: Definition, method: Method, random: (bytes: number) => Buffer): Promise<Started | undefined> {
  const given = completeInputs(definition, method, samples(definition, method));
  if (given.missing.length > 0 || given.faults.length > 0 || !('scopes' in method)) return undefined;
  if ('signature_method' in method && method.signature_method === 'RSA-SHA1') return undefined;
  const ctx = {
    definition,
    method,
    client: { client_id: 'client', client_secret: 'secret' },
    inputs: given.values,
    allowPrivateHosts: false,
    door: async () => ({ status: 200, headers: {}, body: requestToken }),
    now,
    random,
  };
  const scopes = method.scopes.default.length > 0 ? method.scopes.default : method.scopes.required ? ['read'] : [];
  return grantFor(method).start(ctx, { redirectUri, state, scopes, endpoint: 'authorization' });
}

/** The address that the browser is sent to: at the definition's host, with our own parameters as they were made. */
function mustBeOurs(method: Method, started: Started): void {
  if (started.kind !== 'redirect' || method.grant !== 'authorization_code') return;
  const url = new URL(started.redirect);
  must(url.protocol === 'https:' && url.username === '', `the browser is sent to ${started.redirect}`);
  const { rename, omit } = method.authorization;
  const values = (standard: string) => url.searchParams.getAll(Object.hasOwn(rename, standard) ? (rename[standard] ?? '') : standard);
  if (!omit.includes('state')) must(isDeepStrictEqual(values('state'), [state]), `the state is ${values('state')}: ${started.redirect}`);
  if (method.code_challenge_method === 'S256') must(values('code_challenge').length === 1, `no challenge: ${started.redirect}`);
  if (!omit.includes('client_id'))
    must(isDeepStrictEqual(values('client_id'), ['client']), `the client is ${values('client_id')}: ${started.redirect}`);
}

/**
 * The parser says what is wrong and where, or gives a definition of which every address is at a public host that the definition itself has written,
 * whoever fills in its inputs, and whose flows can begin.
 */
export const definitions: Property = {
  name: 'provider definitions',
  runs: 50_000,
  reaches: {
    accepted: 0.12,
    'accepted, generated': 0.03,
    refused: 0.4,
    begun: 0.05,
    'as text': 0.03,
    'accepted as text': 0.005,
    'parsed again': 0.02,
  },
  async prepare({ packageRoot }) {
    const ids = readdirSync(join(packageRoot, 'providers'))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.replace(/\.yaml$/, ''));
    const maker = definitionMaker(packageRoot, ids);
    const options: ParseOptions = { allowPrivateHosts: false, base: maker.base };
    const textOf = (draft: Parameters<typeof maker.of>[0]) => {
      const { value, damage } = maker.of(draft);
      const chance = createChance(draft[0]);
      return damage.reduce(damaged, chance.is(0.5) ? writeDocument(JSON.parse(JSON.stringify(value))) : JSON.stringify(value));
    };
    return {
      shown: (draft) => (maker.of(draft).asText ? textOf(draft) : maker.of(draft).value),
      async check(draft, count) {
        const { value, isPlain, asText } = maker.of(draft);
        const chance = createChance(draft[0] ^ 0x0dd);
        let text: string | undefined;
        if (asText) {
          try {
            text = textOf(draft);
          } catch {
            // It holds what no text can: a function, a number of another kind.
          }
        }
        if (text !== undefined) count('as text');
        let definition: Definition;
        try {
          definition = text === undefined ? parseDefinitionValue(value, options) : parseDefinition(text, options);
        } catch (error) {
          mustBeFaults(error);
          must(!isPlain, 'a shipped definition was refused');
          mustBeUnpolluted();
          return count('refused');
        }
        mustBeUnpolluted();
        count('accepted');
        if (definition.id === 'acme') count('accepted, generated');
        if (text !== undefined) count('accepted as text');
        mustBeSound(definition, chance.pick);
        warningsOf(definition);
        if (chance.is(0.2)) {
          must(isDeepStrictEqual(parseDefinitionValue(JSON.parse(JSON.stringify(definition)), options), definition), 'it does not parse to itself');
          count('parsed again');
        }
        if (!chance.is(0.5)) return;
        for (const method of Object.values(definition.methods).slice(0, 3)) {
          if (method.grant !== 'authorization_code' && method.grant !== 'oauth1') continue;
          const started = await begin(definition, method, chance.bytes);
          if (started === undefined) continue;
          mustBeOurs(method, started);
          count('begun');
        }
      },
    };
  },
};
