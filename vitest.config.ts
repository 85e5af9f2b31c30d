import { defineConfig } from 'vitest/config';
import { countsReporter } from './test/harness/counts.ts';

/** Where `.ci/run` wants to read how many tests passed and failed. */
const countsFile = process.env.GRANTRY_TEST_COUNTS;

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    globalSetup: ['test/harness/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    reporters: countsFile ? ['default', countsReporter(countsFile)] : ['default'],
  },
});
