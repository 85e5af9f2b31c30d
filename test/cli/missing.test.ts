import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { missingAt } from '../../src/cli/missing.ts';
import { outcomeOf } from '../../src/cli/outcome.ts';
import { GrantryProblem } from '../../src/client/client.ts';

test('what is missing is said by its name', () => {
  expect(missingAt('/v1/providers/acme')).toBe('There is no provider "acme" here.');
  expect(missingAt('/v1/providers/a%20b/rollback')).toBe('There is no provider "a b" here.');
  expect(missingAt('/v1/connections/connections/events')).toBe('There is no connection "connections" here.');
  expect(missingAt('/v1/integrations/a/tests/lnk_1')).toBe('There is no test "lnk_1" of an integration "a" here.');
  expect(missingAt('/v1/providers')).toBeUndefined();
});

test('a broker that has a sentence of its own is not talked over', () => {
  const told = (problem: object) =>
    outcomeOf(new GrantryProblem(404, { code: 'not_found', title: 'No such thing.', ...problem }, undefined, '/v1/keys/x'), '').text;
  const at = (problem: object) =>
    outcomeOf(new GrantryProblem(404, { code: 'not_found', title: 'No such thing.', ...problem }, undefined, '/v1/providers/x'), '').text;
  expect(at({})).toBe('not_found: There is no provider "x" here.');
  expect(at({ detail: 'There is no such project.' })).toBe('not_found: There is no such project.');
  expect(told({})).toBe('not_found: No such thing.');
});

test('a file that fails in the middle of the work is told in a sentence; a fault of ours is not hidden', () => {
  let failed: unknown;
  try {
    readFileSync('/nowhere/at/all');
  } catch (error) {
    failed = error;
  }
  expect(outcomeOf(failed, '')).toMatchObject({ exitCode: 1, text: expect.stringMatching(/^failed: ENOENT: .+\.$/) });
  expect(() => outcomeOf(new TypeError('x'), '')).toThrow(TypeError);
});
