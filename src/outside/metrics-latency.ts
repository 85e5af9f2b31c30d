/**
 * A histogram and a count by status for the hottest path. prom-client hashes labels at each observation, which takes about a microsecond; this
 * takes a twentieth of it, and is written out when somebody looks.
 */
export type Latency = {
  observe(status: number, ms: number): void;
  /** In Prometheus's text format. */
  text(): string;
};

const boundsMs = [0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/** `labelOf`: a closed set of words for statuses. */
export function createLatency(labelOf: (status: number) => string): Latency {
  const buckets = new Float64Array(boundsMs.length + 1);
  const statuses = new Map<number | 'other', number>();
  let sumMs = 0;
  return {
    observe(status, ms) {
      const label = statuses.has(status) || labelOf(status) !== 'other' ? status : 'other';
      statuses.set(label, (statuses.get(label) ?? 0) + 1);
      let at = 0;
      for (const bound of boundsMs) {
        if (ms <= bound) break;
        at += 1;
      }
      buckets[at] = (buckets[at] ?? 0) + 1;
      sumMs += ms;
    },
    text() {
      let count = 0;
      const lines = boundsMs.map((bound, at) => {
        count += buckets[at] ?? 0;
        return `grantry_token_duration_seconds_bucket{le="${bound / 1000}"} ${count}`;
      });
      count += buckets[boundsMs.length] ?? 0;
      return [
        '# HELP grantry_token_requests_total Requests for tokens that were answered, by HTTP status.',
        '# TYPE grantry_token_requests_total counter',
        ...[...statuses].map(([status, times]) => `grantry_token_requests_total{status="${status}"} ${times}`),
        '',
        '# HELP grantry_token_duration_seconds From a request for a token to its answer, as the broker sees it.',
        '# TYPE grantry_token_duration_seconds histogram',
        ...lines,
        `grantry_token_duration_seconds_bucket{le="+Inf"} ${count}`,
        `grantry_token_duration_seconds_sum ${sumMs / 1000}`,
        `grantry_token_duration_seconds_count ${count}`,
        '',
      ].join('\n');
    },
  };
}
