import { getConnection } from './connections.ts';
import type { EventRecord } from './records.ts';
import type { EventFilter, Page, PageRequest } from './store.ts';
import type { World } from './world.ts';

/** The timeline of a project, newest first. */
export const listEvents = (world: World, project: string, filter: EventFilter, page: PageRequest): Promise<Page<EventRecord>> =>
  world.store.events.list(project, filter, page);

/** The timeline of one connection. Throws `not_found`. */
export async function listConnectionEvents(
  world: World,
  project: string,
  connection: string,
  filter: Omit<EventFilter, 'connection'>,
  page: PageRequest,
): Promise<Page<EventRecord>> {
  await getConnection(world, project, connection);
  return world.store.events.list(project, { ...filter, connection }, page);
}
