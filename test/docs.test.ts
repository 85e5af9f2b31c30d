import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { providerFields } from '../scripts/provider-fields/table.ts';
import { auditActions } from '../src/protocol/audit-actions.ts';
import { errorTable } from '../src/protocol/errors.ts';

const root = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const rows = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));

it('docs/errors.md lists the table of errors, with its statuses and sentences', () => {
  const listed = rows(read('docs/errors.md')).map(([, code, status, retry, title, advice]) => {
    expect(advice).not.toBe('');
    return [code, `${status} ${retry} ${title}`];
  });
  const table = Object.entries(errorTable).map(([code, { status, retryable, title }]) => [code, `${status} ${retryable ? 'yes' : 'no'} ${title}`]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(table));
  expect(listed).toHaveLength(table.length);
});

it('docs/provider-fields.md is what the schema says (npm run schema)', () => {
  expect(read('docs/provider-fields.md')).toBe(providerFields());
});

it('the variables of the configuration are those that docs/operations.md, README.md and .env.example name', () => {
  const used = new Set(
    [...(read('src/config.ts') + read('src/config-keys.ts')).matchAll(/(?:text\(|fault\(|reader, )'([A-Z_]+)'/g)].map(([, name]) => name),
  );
  expect(used.size).toBe(33);
  for (const path of ['docs/operations.md', 'README.md']) {
    const told = new Set(rows(read(path)).flatMap(([, names]) => names?.split(/[ ,]+/) ?? []));
    expect(
      [...used].filter((name) => name !== undefined && !told.has(name)),
      path,
    ).toEqual([]);
  }
  const example = read('.env.example');
  expect([...used].filter((name) => !example.includes(`${name}=`))).toEqual([]);
});

describe('every link between the documents leads somewhere', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    ...readdirSync(new URL('docs/', root), { recursive: true }).map((path) => `docs/${path}`),
  ];
  it.each(pages.filter((path) => path.endsWith('.md')))('%s', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|mailto:)([^)#]*)(#[^)]*)?\)/g)].map(([, path]) => path ?? '');
    expect(links.filter((path) => path !== '' && !existsSync(new URL(path, new URL(page, root))))).toEqual([]);
  });
});

describe('every file of ours that the documents name is there', () => {
  const inFolder = /^(?:src|test|docs|providers|bench|drizzle|scripts)\/[\w./-]*$/;
  const onTop =
    /^(?:[A-Z]+\.md|LICENSE|Dockerfile|docker-compose\.yml|\.env\.example|(?:package|package-lock|biome|tsconfig)\.json|[a-z]+\.config\.ts)$/;
  const isOurs = (text: string) => inFolder.test(text) || onTop.test(text);
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    ...readdirSync(new URL('docs/', root), { recursive: true }).map((path) => `docs/${path}`),
  ];

  it.each(pages.filter((path) => path.endsWith('.md')))('%s', (page) => {
    // In back-ticks, alone or among other words, perhaps with a line behind it.
    const named = [...read(page).matchAll(/`([^`\n]+)`/g)]
      .flatMap(([, text = '']) => text.split(/[\s,()]+/))
      .map((word) => word.replace(/:\d+$/, ''));
    expect(named.filter((word) => isOurs(word) && !existsSync(new URL(word, root)))).toEqual([]);
  });
});

it('docs/audit.md tells each action of the audit log, and no other', () => {
  const told = rows(read('docs/audit.md').split('## Actions')[1]?.split('\n## ')[0] ?? '').flatMap(([, names]) => names?.split(/[ ,]+/) ?? []);
  expect(told.sort()).toEqual(Object.keys(auditActions).sort());
});
