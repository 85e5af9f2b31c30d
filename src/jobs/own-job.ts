/**
 * Jobs come out of a queue in which anybody may have written. What BullMQ would act upon beside the name and the payload is taken from no job
 * but those of our own schedules: another id, attempts, a delay, a parent, a schedule of its own.
 */

/** A job as BullMQ reads it: text in `data`, the rest as it was found. */
export type StoredJob = Readonly<Record<string, unknown>>;

const isJson = (text: unknown): text is string => {
  if (typeof text !== 'string') return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

function traceOf(opts: unknown): object {
  if (typeof opts !== 'object' || opts === null || !('telemetry' in opts)) return {};
  const { telemetry } = opts;
  const isText = typeof telemetry === 'object' && telemetry !== null && 'metadata' in telemetry && typeof telemetry.metadata === 'string';
  return isText ? { telemetry } : {};
}

/** The job with this id, without what only others can have put into it. A payload that is no JSON becomes null. `opts`: how such jobs are kept. */
export function ownJob(stored: StoredJob, id: string, schedules: Readonly<Record<string, number>>, opts: object): StoredJob {
  const { name, data, timestamp, processedOn, repeatJobKey, deferredFailure } = stored;
  const everyMs = typeof repeatJobKey === 'string' && Object.hasOwn(schedules, repeatJobKey) ? schedules[repeatJobKey] : undefined;
  return {
    id,
    name: String(name),
    data: isJson(data) ? data : 'null',
    opts: { ...opts, ...traceOf(stored.opts), ...(everyMs !== undefined && { repeat: { every: everyMs } }) },
    timestamp,
    processedOn,
    ...(everyMs !== undefined && { repeatJobKey }),
    ...(typeof deferredFailure === 'string' && { deferredFailure }),
  };
}
