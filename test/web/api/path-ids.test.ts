import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { newId } from '../../../src/broker/ids.ts';
import { canBeOurs, isIdOf, isProjectId } from '../../../src/web/api/path-ids.ts';
import { endpoints } from '../../../src/web/api/router.ts';

test('our own ids are ids', () => {
  for (const prefix of ['con', 'lnk', 'whe', 'key'] as const) expect(isIdOf(prefix, newId(prefix))).toBe(true);
  expect(isIdOf('whd', `whd_${'0'.repeat(26)}_g44b1gkhp8`)).toBe(true);
  expect(isProjectId('default')).toBe(true);
});

test.each(['grt_abc_def', 'root_key', 'con_', 'lnk_0', 'con_A', 'con_0/x', 'con_0\n', ' con_0', `con_${'0'.repeat(65)}`])(
  '%j is no id of a connection',
  (text) => {
    expect(isIdOf('con', text)).toBe(false);
  },
);

test('a key or a token in the place of an id reaches no call, but where people choose their ids', () => {
  const chosen = ['/v1/providers/:id', '/v1/providers/:id/rollback', '/v1/providers/:id/versions', '/v1/providers/:id/versions/:version'];
  const paths = [...new Set(endpoints.map(({ path }) => path))].filter((path) => path.includes(':'));
  const secret = `Aa${randomBytes(32).toString('base64url')}`;
  const open = paths.filter((path) => canBeOurs(path, { id: secret, link: secret, version: secret }));
  expect(open.sort()).toEqual(chosen.sort());
  expect(paths.length).toBeGreaterThan(12);
});
