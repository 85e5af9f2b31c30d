/** What a broker can say of its own state to whoever runs it: no secret is in it. */
export type Diagnosis = {
  check: 'configuration' | 'database' | 'redis' | 'keys' | 'project_keys';
  outcome: 'ok' | 'warning' | 'failed';
  /** A sentence that says what is. */
  what: string;
  /** What to do about it. */
  advice?: string;
};
