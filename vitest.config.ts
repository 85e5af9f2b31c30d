import { defineConfig } from 'vitest/config';

/** A file to which the result is written as JSON, next to what is printed: `.ci/run` counts with it. */
const resultFile = process.env['GRANTRY_TEST_JSON'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    globalSetup: ['test/harness/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    reporters: resultFile ? ['default', ['json', { outputFile: resultFile }]] : ['default'],
  },
});
