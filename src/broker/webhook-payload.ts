import type { EventRecord } from './records.ts';
import { tell } from './timeline.ts';

/** The body of a webhook: an event as the API shows it, and whose it is. Events hold no secrets. */
export function webhookPayload(event: EventRecord): string {
  const { id, project_id, type, integration_id, link_id, connection_id, data, created_at } = event;
  const timestamp = created_at.toISOString();
  return JSON.stringify({
    type,
    timestamp,
    data: {
      id,
      project: project_id,
      integration: integration_id,
      connect_link: link_id,
      connection_id,
      ...tell(event),
      data,
      created_at: timestamp,
    },
  });
}
