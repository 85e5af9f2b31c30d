import { expect, test } from 'vitest';
import { z } from 'zod';
import { url } from '../../src/protocol/definition/fields.ts';
import { definitionSchema } from '../../src/protocol/definition/schema.ts';
import { namedLikeUrls, urlFields } from './url-fields.ts';

/** The attacks on the URLs of a definition find them in its schema: a new one is attacked by itself. */

const nameOf = ({ grant = '', path }: { grant?: string; path: string[] }) => `${grant} ${path.join('/')}`;

test('a URL is found wherever it stands', () => {
  const method = z.strictObject({ grant: z.literal('new'), next: z.strictObject({ endpoint: url.optional().describe('New.') }).prefault({}) });
  const schema = z.strictObject({ methods: z.record(z.string(), z.discriminatedUnion('grant', [method])), logos: z.array(url).default([]) });
  expect(urlFields(schema).map(nameOf)).toEqual(['new methods/*/next/endpoint', ' logos/*']);
});

test('every address of a definition has the schema of a URL, but for those that nobody calls', () => {
  const found = new Set(urlFields(definitionSchema).map(nameOf));
  expect(found.size).toBeGreaterThan(20);
  const others = namedLikeUrls(definitionSchema).map(nameOf);
  expect(others.filter((name) => !found.has(name))).toEqual([
    // What an assertion says, and where a provider sends the browser back to.
    'authorization_code methods/*/client_assertion/issuer',
    'authorization_code methods/*/redirect_uri',
    'client_credentials methods/*/client_assertion/issuer',
    'jwt_bearer methods/*/client_assertion/issuer',
    'jwt_bearer methods/*/assertion/issuer',
    'credential_exchange methods/*/client_assertion/issuer',
  ]);
});
