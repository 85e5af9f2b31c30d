import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { configFaults } from '../src/config.ts';
import { parseProjectKeys } from '../src/config-project-keys.ts';
import { GrantryError } from '../src/protocol/errors.ts';

const key = (kid: string) => ({ kty: 'oct', kid, k: randomBytes(32).toString('base64url') });
const service = { url: 'https://kms.example.com/v1', token_file: 'token' };
const parse = (file: unknown) => parseProjectKeys(typeof file === 'string' ? file : JSON.stringify(file), '/run/secrets/projects.json');

function faultsOf(file: unknown): GrantryError {
  try {
    parse(file);
  } catch (error) {
    if (error instanceof GrantryError) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

it('a ring, a file of one, a service; former keys; paths relative to the file', () => {
  const keys = parse({
    ring: { keys: [key('b'), key('a')] },
    filed: { keys_file: 'filed.json' },
    served: { service: { ...service, ca_file: '/etc/ssl/ours.pem' } },
    local: { service: { url: 'http://127.0.0.1:8200/v1', token_file: '/x', allow_private_host: true } },
    moved: { service, former: { keys: [key('a')] } },
    'given-up': { former: { service } },
  });
  expect([...keys.keys()]).toEqual(['ring', 'filed', 'served', 'local', 'moved', 'given-up']);
  expect(keys.get('ring')).toMatchObject({ current: { kind: 'ring', ring: { kids: ['b', 'a'], name: 'the key ring of the project ring' } } });
  expect(keys.get('filed')).toEqual({ current: { kind: 'ring_file', path: '/run/secrets/filed.json' }, former: undefined });
  const read = { url: service.url, tokenFile: '/run/secrets/token', allowPrivateHost: false };
  expect(keys.get('served')?.current).toEqual({ kind: 'service', service: { ...read, caFile: '/etc/ssl/ours.pem' } });
  expect(keys.get('local')?.current).toMatchObject({ service: { allowPrivateHost: true, tokenFile: '/x' } });
  expect(keys.get('moved')).toMatchObject({ current: { kind: 'service' }, former: { kind: 'ring', ring: { kids: ['a'] } } });
  expect(keys.get('given-up')).toMatchObject({ current: undefined, former: { kind: 'service' } });
  expect(parse({}).size).toBe(0);
});

describe('a file that cannot be used is told with each fault, and what to write instead', () => {
  const good = { keys: [key('a')] };
  it.each<[string, unknown, [string, RegExp][]]>([
    ['no JSON', '{', [['', /must be JSON/]]],
    ['a project that is there twice', `{"a": {"keys_file": "x"}, "b": {}, "a" : {"former": {"keys_file": "x"}}}`, [['/a', /there twice/]]],
    [
      'members that are there twice, however they are written',
      `{"a": {"service": {"url": "}", "url": "\\"}"}, "k\\u0065ys": [{"k": "a", "b": [1, {}]}, {"k": ":", "b": [[], "k"], "k": {}}], "keys": 1}, "b": {"keys": 1}}`,
      [
        ['/a/service/url', /there twice/],
        ['/a/keys/1/k', /there twice/],
        ['/a/keys', /there twice/],
      ],
    ],
    ['a list', [], [['', /must be an object: \{"<project>"/]]],
    ['an id that no project has', { 'Not One': good }, [['/Not One', /no id of a project/]]],
    ['nothing', { a: {} }, [['/a', /"keys", "keys_file" and "service", or with "former"/]]],
    ['no object', { a: 7, b: good }, [['/a', /must be an object with one of/]]],
    ['an unknown member', { a: { ...good, kyes: 1 } }, [['/a/kyes', /not known: there are keys, keys_file/]]],
    ['an unknown member of a service', { a: { service: { ...service, token: 'x' } } }, [['/a/service/token', /there are url, token_file/]]],
    ['two at once', { a: { ...good, service } }, [['/a', /says twice/]]],
    ['keys that are no list', { a: { keys: 'x' } }, [['/a/keys', /must be a list of keys/]]],
    ['no key', { a: { keys: [] } }, [['/a/keys', /at least one key/]]],
    ['a key that is too short', { a: { keys: [{ ...key('a'), k: 'AAAA' }] } }, [['/a/keys/0/k', /32 bytes/]]],
    ['no path', { a: { keys_file: '' } }, [['/a/keys_file', /must be a path/]]],
    [
      'a service without anything',
      { a: { service: {} } },
      [
        ['/a/service/url', /is needed: the base URL/],
        ['/a/service/token_file', /is needed/],
      ],
    ],
    [
      'a service at a private address',
      { a: { service: { ...service, url: 'https://10.0.0.7/' } } },
      [['/a/service/url', /"allow_private_host": true/]],
    ],
    ['a service in the open', { a: { service: { ...service, url: 'http://kms.example.com' } } }, [['/a/service/url', /must begin with https/]]],
    ['a word instead of true', { a: { service: { ...service, allow_private_host: 'yes' } } }, [['/a/service/allow_private_host', /true or false/]]],
    ['a former key of nothing', { a: { ...good, former: {} } }, [['/a/former', /must be an object with one of "keys"/]]],
    ['a former one of a former one', { a: { former: { former: good } } }, [['/a/former/former', /not known/]]],
    ['a ring beside a ring', { a: { ...good, former: { keys: [key('b')] } } }, [['/a/former', /behind those that wrap/]]],
    ['a service beside a service', { a: { service, former: { service } } }, [['/a/former', /by way of a key ring/]]],
    ['a fault in a former key', { a: { service, former: { keys: [{ ...key('a'), kid: '' }] } } }, [['/a/former/keys/0/kid', /1 to 128/]]],
    [
      'all of them',
      { a: { keys: [7] }, b: { service: { ...service, url: 'x' } }, c: {} },
      [
        ['/a/keys/0', /object/],
        ['/b/service/url', /base URL/],
        ['/c', /must be an object/],
      ],
    ],
  ])('%s', (_, file, expected) => {
    const { code, message, details } = faultsOf(file);
    expect([code, message]).toEqual(['invalid_request', 'The file /run/secrets/projects.json of GRANTRY_PROJECT_KEYS_FILE cannot be used.']);
    expect(details.errors?.map(({ pointer }) => pointer)).toEqual(expected.map(([pointer]) => pointer));
    for (const [index, [, detail]] of expected.entries()) expect(details.errors?.[index]?.detail).toMatch(detail);
  });

  it('and never with what it holds', () => {
    const secret = key('a').k;
    const told = [
      { a: { keys: [{ kty: 'oct', kid: secret.slice(0, 10), k: `${secret}=` }] } },
      { a: { service: { url: `https://user:${secret}@kms.example.com`, token_file: 7 } } },
      `{"a": {"keys": "${secret}"`,
      { a: secret },
    ].map((file) => {
      const error = faultsOf(file);
      return `${configFaults(error)} ${String(error.cause)}`;
    });
    expect(told.join('\n')).not.toContain(secret);
  });
});
