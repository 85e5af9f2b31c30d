import type { Log } from './broker/world.ts';
import { stackOf } from './protocol/stack.ts';

/**
 * What a process says when something goes wrong that nobody foresaw: the kind of the error and the place. Node by itself prints message,
 * properties and causes, and those hold what a statement or a request was given.
 */

const kindOf = (error: unknown): string => (error instanceof Error ? error.constructor.name : typeof error);

/** Node's own report, when the operator asked for one (`--report-uncaught-exception`), of an error that says nothing but its kind and place. */
function report(error: unknown): void {
  if (!process.report.reportOnUncaughtException) return;
  const told = new Error(kindOf(error));
  told.stack = [told.message, ...stackOf(error)].join('\n');
  process.report.writeReport(told);
}

/** From now on: a promise that nobody handles is logged, an exception that nobody catches ends the process with exit code 1. */
export function watchForCrashes(log: Log): void {
  process.on('unhandledRejection', (error) => log.error({ error: kindOf(error), stack: stackOf(error) }, 'a promise was left unhandled'));
  process.on('uncaughtException', (error) => {
    log.error({ error: kindOf(error), stack: stackOf(error) }, 'an exception was not caught; the process ends');
    report(error);
    process.exit(1);
  });
}
