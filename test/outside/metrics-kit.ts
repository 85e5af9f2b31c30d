import { createLog } from '../../src/outside/log.ts';
import { createMetrics, type Metrics, type MetricsOptions } from '../../src/outside/metrics.ts';

/** Metrics with a clock that is turned by hand; nobody's patience ends before `lapse`. */
export type Counted = Metrics & {
  logged: string[];
  pass(ms: number): void;
  /** Ends every waiting. */
  lapse(): void;
  /** The values by series, of those whose name begins so. */
  series(prefix?: string): Promise<Record<string, number>>;
};

const nothingDue = { due: 0, overdue: 0, oldestOverdueS: 0 };

export function createCounted(options: Partial<Pick<MetricsOptions, 'read' | 'queues' | 'shipped'>> = {}): Counted {
  let nowMs = 1_000_000;
  const waiting: (() => void)[] = [];
  const logged: string[] = [];
  const metrics = createMetrics({
    shipped: new Set(['gitlab', 'salesforce']),
    read: async () => nothingDue,
    queues: async () => [{ queue: 'refresh', waiting: 0, active: 0, delayed: 0 }],
    log: createLog('debug', { write: (line) => logged.push(line) }),
    elapsedMs: () => nowMs,
    sleep: (_, signal) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        signal?.addEventListener('abort', () => resolve());
      }),
    ...options,
  });
  return {
    ...metrics,
    logged,
    pass(ms) {
      nowMs += ms;
    },
    lapse() {
      for (const resolve of waiting.splice(0)) resolve();
    },
    async series(prefix = 'grantry_') {
      const { body } = await metrics.text();
      const lines = body.split('\n').filter((line) => line.startsWith(prefix));
      return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
    },
  };
}
