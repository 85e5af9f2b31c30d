import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

/** `npm run fuzz [-- --seed N] [--times 10] [--only 'token answers'] [--path 12:0]`: a new seed, and ten times as many cases as in `npm test`. */

const { values } = parseArgs({
  options: { seed: { type: 'string' }, times: { type: 'string', default: '10' }, only: { type: 'string' }, path: { type: 'string' } },
});
const { seed = String(Math.floor(Math.random() * 2 ** 31)), times, only, path } = values;
process.stdout.write(`seed ${seed}, ${path === undefined ? `${times} times as many cases as in npm test` : 'one case'}\n`);
const child = spawn('npx', ['vitest', 'run', 'test/fuzz', '--maxConcurrency', '2'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    FUZZ_SEED: seed,
    FUZZ_TIMES: times,
    ...(only !== undefined && { FUZZ_ONLY: only }),
    ...(path !== undefined && { FUZZ_PATH: path }),
  },
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
