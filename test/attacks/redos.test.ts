import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Node, SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { packageRoot } from '../harness/broker.ts';
import { repeatsWithoutEnd, stepCounter, worstGrowth } from './backtracking.ts';

/** ReDoS: no regular expression of ours, found by TypeScript's own parser, does more work than in proportion to what it is given. */

type Found = { where: string; source: string; flags: string };
let literals: Found[];
let built: string[];
const directory = mkdtempSync(join(tmpdir(), 'grantry-redos-'));

beforeAll(() => {
  const sources = readdirSync(join(packageRoot, 'src'), { recursive: true, withFileTypes: true }).filter(({ name }) => /\.tsx?$/.test(name));
  const files = sources.map(({ parentPath, name }) => join(parentPath, name));
  const config = join(directory, 'tsconfig.json');
  const compilerOptions = {
    noLib: true,
    noResolve: true,
    types: [],
    noEmit: true,
    jsx: 'preserve',
    allowImportingTsExtensions: true,
    module: 'esnext',
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files }));
  const api = new API({ cwd: directory });
  const program = api.updateSnapshot({ openProject: config }).getProject(config)?.program;
  literals = [];
  built = [];
  for (const file of files) {
    const where = file.slice(packageRoot.length);
    const text = program?.getSourceFile(file);
    if (text === undefined) throw new Error(`${where} was not read.`);
    const visit = (node: Node): void => {
      const written = node.getText(text);
      if (node.kind === SyntaxKind.RegularExpressionLiteral) {
        const end = written.lastIndexOf('/');
        literals.push({ where, source: written.slice(1, end), flags: written.slice(end + 1) });
      }
      if ((node.kind === SyntaxKind.NewExpression || node.kind === SyntaxKind.CallExpression) && /^(?:new )?RegExp\(/.test(written))
        built.push(where);
      node.forEachChild(visit);
    };
    visit(text);
  }
  api.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the count of steps', () => {
  test.each([
    ['^(a+)+$', Number.POSITIVE_INFINITY],
    ['^(?:a|a)*$', Number.POSITIVE_INFINITY],
    ['^(?:[a-z]+\\.?)+$', Number.POSITIVE_INFINITY],
  ])('is beyond all bounds for %s', (source, steps) => {
    expect(worstGrowth({ source, flags: '' }).ratio).toBe(steps);
  });

  test.each(['a+$', '^a*a*$', '\\s+$'])('grows by the square for %s', (source) => {
    expect(worstGrowth({ source, flags: '' }).ratio).toBeGreaterThan(3.2);
  });

  test.each(['^a+$', '^[a-z]+(?:\\.[a-z]+)*$', '^(?:a|b)*$', '[0-9]', '^(?=a)a{3,5}b?$', '(?<![\\w.])a+b', '(?<=a)b'])(
    'grows in proportion for %s',
    (source) => {
      expect(worstGrowth({ source, flags: '' }).ratio).toBeLessThan(2.5);
    },
  );

  test('is that of an engine which finds what there is', () => {
    expect(stepCounter({ source: '^(?:ab|a)b?c$', flags: '' })('abc')).toBeLessThan(12);
    expect(() => stepCounter({ source: '(a)\\1', flags: '' })).toThrow('not known');
  });
});

test('no regular expression of ours does more than in proportion to its input', () => {
  expect(literals.length).toBeGreaterThan(100);
  const distinct = [...new Map(literals.map((each) => [`${each.source}/${each.flags}`, each])).values()];
  const slow = distinct.filter(({ source }) => repeatsWithoutEnd(source)).filter((each) => worstGrowth(each).ratio > 3.4);
  expect(slow).toEqual([]);
});

test('none is made of what others wrote, but for single characters of a pattern', () => {
  expect([...new Set(built)].sort()).toEqual([
    'src/protocol/definition/pattern.ts',
    'src/protocol/http-date.ts',
    'src/protocol/trace/shown-answer.ts',
  ]);
});

test('those that zod brings along and we use', () => {
  for (const expression of [z.regexes.email, z.regexes.datetime({ offset: true })]) expect(worstGrowth(expression).ratio).toBeLessThan(3);
});
