import type { EventRecord } from './records.ts';

/** The body of a webhook: an event as the API shows it. Events hold no secrets. */
export function webhookPayload(event: EventRecord): string {
  return JSON.stringify({
    type: event.type,
    timestamp: event.created_at.toISOString(),
    data: {
      id: event.id,
      project: event.project_id,
      integration: event.integration_id,
      connect_link: event.link_id,
      connection_id: event.connection_id,
      data: event.data,
      created_at: event.created_at.toISOString(),
    },
  });
}
