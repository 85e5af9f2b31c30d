import { expect, test } from 'vitest';
import { parseDefinition } from '../../../src/protocol/definition/parse.ts';
import { GrantryError } from '../../../src/protocol/errors.ts';
import { adviceFor } from '../../../src/protocol/trace/advice.ts';
import { createMasks } from '../../../src/protocol/trace/masks.ts';
import { showAnswer } from '../../../src/protocol/trace/shown-answer.ts';

const definition = parseDefinition(
  JSON.stringify({
    id: 'acme',
    name: 'Acme',
    categories: ['other'],
    methods: {
      web: { grant: 'authorization_code', authorization_endpoint: 'https://acme.com/a', token_endpoint: 'https://acme.com/t' },
    },
  }),
  { allowPrivateHosts: false },
);
const method = definition.methods.web;
if (method === undefined) throw new Error('There is no method.');

const json = (body: unknown) => JSON.stringify(body);

test.each<[string, number, string, RegExp]>([
  ['a wrong secret', 401, json({ error: 'invalid_client' }), /^The provider answered invalid_client\. Compare the client id and the client secret/],
  ['a redirect URI that is not registered', 400, json({ error: 'redirect_uri_mismatch' }), /^Register the redirect URI/],
  ['an error with status 200', 200, json({ error: 'bad_verification_code' }), /does not take the code/],
  ['an error that nobody knows', 400, json({ error: 'no_such_team' }), /^The provider answered no_such_team: look it up/],
  [
    'an error elsewhere',
    400,
    json({ code: 5, message: 'text' }),
    /names no error at \/error \(response\.error\); it has these members: \/code, \/message\.$/,
  ],
  ['another member', 200, json({ data: { token: 'x' } }), /has no \/access_token .* these members: \/data, \/data\/token\.$/],
  ['a form', 200, 'access_token=x&scope=y', /is form-encoded and the definition expects JSON: set response\.format to form\.$/],
  ['a page', 200, '<!doctype html><title>x</title>', /is an HTML page .* look at token_endpoint\.$/],
  ['nothing', 204, '', /is empty .* look at token_endpoint\.$/],
  ['another type', 200, json({ access_token: 'x', token_type: 'mac' }), /^The token type mac is not among response\.token_types \(bearer\)/],
  ['an address of nothing', 404, '<html>', /^There is nothing at this address/],
  ['a way elsewhere', 302, '', /^The provider redirects elsewhere/],
  ['another content type', 415, json({}), /look at token\.format/],
  ['out of order', 500, 'oops', /^The provider is out of order/],
])('%s', (_, status, body, advice) => {
  const answer = showAnswer(createMasks(), method, { status, headers: {}, body });
  expect(adviceFor(new GrantryError('bad_provider_answer'), method, answer)).toMatch(advice);
});

test('without an answer the failure says what to look at', () => {
  expect(adviceFor(new GrantryError('provider_unreachable'), method, undefined)).toContain('Nobody answers at this address');
  expect(adviceFor(new GrantryError('exchange_unknown'), method, undefined)).toContain('did not answer in time');
});
