import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { background } from '../src/sandbox/demo/background.ts';
import { packageRoot } from './harness/broker.ts';

/** What `npm run demo` runs: nothing goes before it or comes after it. */
function demoScript(): string[] {
  const { scripts } = JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8'));
  expect([scripts.predemo, scripts.postdemo]).toEqual([undefined, undefined]);
  const [program, ...args] = scripts.demo.split(' ');
  expect(program).toBe('tsx');
  return args;
}

test('npm run demo plays every scene to the end', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', ...demoScript()], {
    cwd: packageRoot,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code, said).toBe(0);
  expect(said.split(`. ${background.title}\n`)[1]).toMatch(
    / ✓ refreshed by itself; the webhook is signed and says: .+\n(?:.*\n)*All of it worked, in \d+ s\.\n$/,
  );
}, 600_000);
