import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { createCounted } from './metrics-kit.ts';

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

/** What the registry says it has: names and types. */
async function registered(): Promise<Map<string, string>> {
  const { body } = await createCounted().text();
  return new Map([...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
}

/** The series that an expression names. */
async function unknownNames(expressions: readonly string[]): Promise<string[]> {
  const metrics = await registered();
  const series = [...metrics].flatMap(([name, type]) =>
    type === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name],
  );
  const named = expressions.flatMap((expression) => expression.match(/\b(?:grantry|process|nodejs)_\w+/g) ?? []);
  expect(named.length).toBeGreaterThan(10);
  return named.filter((name) => !series.includes(name));
}

const rules = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string(),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.object({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.object({ summary: z.string(), description: z.string() }),
        }),
      ),
    }),
  ),
});

const alerts = () => rules.parse(parse(read('alerts.yml'))).groups.flatMap((group) => group.rules);

const dashboard = z.object({
  schemaVersion: z.int().min(39),
  templating: z.object({
    list: z.array(z.object({ name: z.string(), type: z.string(), definition: z.string().optional() })),
  }),
  panels: z.array(
    z.object({
      id: z.int(),
      type: z.string(),
      title: z.string(),
      targets: z.array(z.object({ expr: z.string(), datasource: z.object({ uid: z.literal('${datasource}') }) })).optional(),
    }),
  ),
});

it('docs/alerts.yml is read as rules, and names what there is', async () => {
  const found = alerts();
  expect(new Set(found.map(({ alert }) => alert)).size).toBe(found.length);
  expect(await unknownNames(found.map(({ expr }) => expr))).toEqual([]);
});

it('docs/grafana-dashboard.json is read as a dashboard, and names what there is', async () => {
  const { panels, templating } = dashboard.parse(JSON.parse(read('grafana-dashboard.json')));
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(templating.list.find(({ name }) => name === 'datasource')?.type).toBe('datasource');
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  expect(await unknownNames([...expressions, ...templating.list.map(({ definition }) => definition ?? '')])).toEqual([]);
  const variables = new Set(expressions.flatMap((expression) => expression.match(/\$(?!__)\w+/g) ?? []));
  expect([...variables].filter((name) => !templating.list.some((variable) => `$${variable.name}` === name))).toEqual([]);
});

it('docs/metrics.md lists every metric with its type, and every alert', async () => {
  const text = read('metrics.md');
  const metrics = [...(await registered())].filter(([name]) => name.startsWith('grantry_'));
  const listed = new Map([...text.matchAll(/^\| `(grantry_\w+)` \| (\w+)/gm)].map(([, name = '', type = '']) => [name, type]));
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(metrics));
  const named = [...text.matchAll(/`(Grantry[A-Z]\w+)`/g)].map(([, name]) => name);
  expect(new Set(named)).toEqual(new Set(alerts().map(({ alert }) => alert)));
});

it('every metric is in the dashboard', async () => {
  const text = read('grafana-dashboard.json');
  const metrics = [...(await registered()).keys()].filter((name) => name.startsWith('grantry_'));
  expect(metrics.filter((name) => !text.includes(name))).toEqual([]);
});
