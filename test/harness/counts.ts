import { writeFileSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

/**
 * Writes `N passed, N failed` into a file when the run ends. What failed outside of a test (a file that cannot be loaded, an error that nobody
 * handled) counts as a failure too, so a run that failed never shows 0.
 */
export function countsReporter(file: string): Reporter {
  return {
    onTestRunEnd(modules, unhandled) {
      const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
      const failed = states.filter((state) => state === 'failed').length;
      const outside = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length + unhandled.length;
      writeFileSync(file, `${states.filter((state) => state === 'passed').length} passed, ${failed + outside} failed\n`);
    },
  };
}
