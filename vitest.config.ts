import { defineConfig } from 'vitest/config';
import { countsReporter } from './test/harness/counts.ts';

/** Where `.ci/run` wants to read how many tests passed and failed. */
const countsFile = process.env.GRANTRY_TEST_COUNTS;

/** Files that a process runs one after another, so that it loads the broker once: they leave nothing of themselves behind in it. */
const together = ['web', 'flows', 'broker', 'outside', 'protocol', 'grants', 'providers', 'sandbox'].map(
  (folder) => `test/${folder}/**/*.test.{ts,tsx}`,
);

export default defineConfig({
  test: {
    globalSetup: ['test/harness/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    reporters: countsFile ? ['default', countsReporter(countsFile)] : ['default'],
    projects: [
      { extends: true, test: { name: 'together', globalSetup: [], include: together, isolate: false } },
      { extends: true, test: { name: 'alone', globalSetup: [], include: ['test/**/*.test.{ts,tsx}'], exclude: together } },
    ],
  },
});
