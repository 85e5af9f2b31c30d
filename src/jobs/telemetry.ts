import { BullMQOtel } from 'bullmq-otel';
import type { Telemetry } from './queues.ts';

/** BullMQ's spans. What a job brings of the trace that it belongs to comes from the queue, where anybody may have written it. */
export function createTelemetry(): Telemetry {
  const telemetry = new BullMQOtel({ tracerName: 'grantry' });
  const { contextManager } = telemetry;
  const read = contextManager.fromMetadata.bind(contextManager);
  contextManager.fromMetadata = (active, metadata) => {
    try {
      return read(active, metadata);
    } catch {
      // One unreadable text would stop the worker.
      return active;
    }
  };
  return telemetry;
}
