import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { compileShippedProviders, loadShippedProviders } from '../../src/outside/shipped-providers.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-providers-'));
});
afterEach(() => rm(dir, { recursive: true }));

const put = (file: string, text: string) => writeFile(join(dir, file), text);
const app = (id: string, more = '') =>
  `id: ${id}\nname: ${id}\n${more}methods: { app: { grant: client_credentials, token_endpoint: 'https://${id}.com/token' } }\n`;

it('reads what is called .yaml, in order of the ids', async () => {
  await put('zebra.yaml', app('zebra'));
  await put('ant.yaml', app('ant'));
  await put('schema.json', '{}');
  await put('notes.md', 'a: [');
  expect([...(await loadShippedProviders(dir)).keys()]).toEqual(['ant', 'zebra']);
});

it('lets one extend another, whichever is read first', async () => {
  await put('b.yaml', app('b', 'categories: [x]\n'));
  await put('a.yaml', 'id: a\nname: A\nextends: b\n');
  await put('c.yaml', 'id: c\nname: C\nextends: a\n');
  const providers = await loadShippedProviders(dir);
  expect(providers.get('c')).toMatchObject({ id: 'c', name: 'C', categories: ['x'], methods: { app: { token_endpoint: 'https://b.com/token' } } });
});

it('tells the faults of all files at once', async () => {
  await put('broken.yaml', 'id: [');
  await put('misnamed.yaml', app('other'));
  await put('private.yaml', app('private').replace('https://private.com', 'https://10.0.0.1'));
  await put('good.yaml', app('good'));
  await expect(loadShippedProviders(dir)).rejects.toMatchObject({
    code: 'invalid_definition',
    // What is read by whoever starts a broker.
    message: expect.stringMatching(
      /^The definitions in providers\/ have faults:\n {2}broken\.yaml {2}Line 1, .+\n {2}misnamed\.yaml\/id {2}Must be misnamed/,
    ),
    details: {
      errors: [
        { pointer: '/broken.yaml', detail: expect.stringMatching(/^Line 1, column \d+: /) },
        { pointer: '/misnamed.yaml/id', detail: 'Must be misnamed, as the file is called.' },
        { pointer: '/private.yaml/methods/app/token_endpoint', detail: 'The host is not a public one: give one that everybody can reach.' },
      ],
    },
  });
});

it('says so when there is no such directory', async () => {
  await expect(loadShippedProviders(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'ENOENT' });
});

it('takes what the build compiled, until a file changes', async () => {
  await put('ant.yaml', app('ant'));
  const compiled = join(dir, 'providers.json');
  await compileShippedProviders(dir, compiled);
  const parsed = await loadShippedProviders(dir);
  expect(await loadShippedProviders(dir, compiled)).toEqual(parsed);
  // Only who reads the compiled file sees this.
  await writeFile(compiled, (await readFile(compiled, 'utf8')).replace('"name":"ant"', '"name":"compiled"'));
  expect((await loadShippedProviders(dir, compiled)).get('ant')?.name).toBe('compiled');
  await put('ant.yaml', app('ant', 'categories: [x]\n'));
  expect((await loadShippedProviders(dir, compiled)).get('ant')).toMatchObject({ name: 'ant', categories: ['x'] });
});

it('does without a compiled file that cannot be read', async () => {
  await put('ant.yaml', app('ant'));
  await put('providers.json', '{"digest":');
  expect([...(await loadShippedProviders(dir, join(dir, 'providers.json'))).keys()]).toEqual(['ant']);
});
