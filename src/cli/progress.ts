import { SingleBar } from 'cli-progress';

/** A bar on standard error, for a person who watches. */
export type Progress = {
  /** `total` may change. */
  at(done: number, total: number, fields?: Record<string, unknown>): void;
  stop(): void;
};

/**
 * Begins it; undefined where nobody watches: with --json, and where standard error is no terminal. It ends with the process at the latest, so
 * that the cursor is there again after Ctrl-C.
 * @param format with {bar}, {value}, {total}, and the names of the fields
 */
export function createProgress(json: boolean, format: string, fields: Record<string, unknown> = {}): Progress | undefined {
  if (json || !process.stderr.isTTY) return undefined;
  const bar = new SingleBar({ stream: process.stderr, format, hideCursor: true });
  bar.start(0, 0, fields);
  const stop = () => bar.stop();
  process.once('exit', stop);
  return {
    at(done, total, more) {
      bar.setTotal(total);
      bar.update(done, more);
    },
    stop() {
      process.off('exit', stop);
      stop();
    },
  };
}
