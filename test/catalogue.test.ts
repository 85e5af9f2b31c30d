import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { schemaFields, usedFields } from '../scripts/catalogue/fields.ts';
import { type Entry, reportOf, usersOf } from '../scripts/catalogue/report.ts';
import { readDocument } from '../src/protocol/definition/document.ts';
import { parseDefinitionValue } from '../src/protocol/definition/parse.ts';
import { isPlainObject, type PlainObject } from '../src/protocol/definition/plain.ts';
import { packageRoot } from './harness/broker.ts';
import { sample } from './protocol/definition/samples.ts';

const complete = parseDefinitionValue(sample(), { allowPrivateHosts: false });

it('knows every field of the schema by its path, once', () => {
  const fields = schemaFields();
  expect(new Set(fields).size).toBe(fields.length);
  expect(fields).toEqual(
    expect.arrayContaining([
      'documentation',
      'api.base_url',
      'api.token.scheme',
      'inputs.*.host',
      'inputs.*.secret',
      'methods.*.token.format',
      'methods.*.signature_method',
      'methods.*.response.success.pointer',
      'methods.*.callback.signature.algorithm',
    ]),
  );
  for (const group of ['api', 'methods', 'methods.*.token', 'methods.*.response.success', 'methods.*.grant', 'methods.*.inputs', '$schema', 'id'])
    expect(fields).not.toContain(group);
});

it('what is as usual, or empty, is not used; every field that is used is a field', () => {
  const used = usedFields(complete);
  expect([...used].filter((field) => !schemaFields().includes(field))).toEqual([]);
  for (const field of ['inputs.*.host', 'methods.*.issuer', 'methods.*.authorization.rename', 'methods.*.callback.keep', 'api.account', 'inputs'])
    expect([field, used.has(field)]).toEqual([field, true]);
  for (const field of ['methods.*.code_challenge_method', 'methods.*.token.headers', 'methods.*.token.format', 'api.token.scheme', 'aliases'])
    expect([field, used.has(field)]).toEqual([field, false]);
});

it('counts, and names what nobody uses', () => {
  const { text, unused } = reportOf([{ definition: complete, base: undefined }], { acme: ['grant', 'passport'] });
  expect(text).toContain('1 definitions');
  expect(text).toMatch(/ 1 {2}authorization_code\n/);
  expect(text).toMatch(/ 1 {2}no documentation named\n/);
  expect(text).toMatch(/ 1 {2}two\n/);
  expect(text).toMatch(/ 0 {2}none: /);
  expect(text).toMatch(/ 1 {2}methods\.\*\.issuer +acme\n/);
  expect(unused).toContain('methods.*.token.format');
  expect(unused).toContain('extends');
  expect(unused).not.toContain('methods.*.issuer');
  expect(reportOf([{ definition: complete, base: 'other' }], {}).unused).not.toContain('extends');
});

/** All definitions of the directory, with what they extend. */
function shipped(): Entry[] {
  const dir = `${packageRoot}/providers`;
  const texts = readdirSync(dir)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => readFileSync(`${dir}/${file}`, 'utf8'));
  const written = new Map(
    texts.map(readDocument).flatMap((value): [string, PlainObject][] => (isPlainObject(value) ? [[String(value.id), value]] : [])),
  );
  return [...written.values()].map((value) => ({
    definition: parseDefinitionValue(value, { allowPrivateHosts: false, base: (id) => written.get(id) }),
    base: typeof value.extends === 'string' ? value.extends : undefined,
  }));
}

it('every field is used by a definition', () => {
  expect(reportOf(shipped(), {}).unused).toEqual([]);
});

it('each quirk in docs/provider-quirks.md is shown by the definition that it names', () => {
  const users = usersOf(shipped());
  const rows = readFileSync(`${packageRoot}/docs/provider-quirks.md`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('`'))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()));
  expect(rows.length).toBeGreaterThan(80);
  const wrong = rows.filter(([, field = '', id = '']) => {
    const [name = ''] = [...field.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '').reverse();
    return users.get(name)?.includes(id) !== true;
  });
  expect(wrong).toEqual([]);
});

it('the sources are those of definitions that there are', () => {
  const sources: Record<string, string[]> = JSON.parse(readFileSync(`${packageRoot}/scripts/catalogue/sources.json`, 'utf8'));
  const ids = new Set(shipped().map(({ definition }) => definition.id));
  expect(Object.keys(sources).filter((id) => !ids.has(id))).toEqual([]);
  expect(Object.entries(sources).filter(([, names]) => new Set(names).size !== names.length)).toEqual([]);
});
