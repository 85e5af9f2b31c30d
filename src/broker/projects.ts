import { GrantryError } from '../protocol/errors.ts';
import type { ProjectRecord } from './records.ts';
import { returnUrlFault } from './return-urls.ts';
import type { World } from './world.ts';

export const defaultProject = 'default';

/** Makes sure that the project every installation has is there. */
export async function ensureDefaultProject(world: Pick<World, 'store'>): Promise<void> {
  await world.store.projects.insert({ id: defaultProject, name: 'Default project', return_urls: [] });
}

function checkReturnUrls(world: World, urls: readonly string[] | undefined): void {
  const errors = (urls ?? []).flatMap((url, index) => {
    const fault = returnUrlFault(world.publicUrl, url);
    return fault === undefined ? [] : [{ pointer: `/return_urls/${index}`, detail: fault }];
  });
  if (errors.length > 0) throw new GrantryError('invalid_request', { detail: 'A return URL cannot be registered.', errors });
}

export async function createProject(world: World, project: { id: string; name: string; return_urls: string[] }): Promise<ProjectRecord> {
  checkReturnUrls(world, project.return_urls);
  const made = await world.store.projects.insert(project);
  if (made === undefined) {
    const detail = 'A project with this id exists, or did: the id of a deleted project is not given again.';
    throw new GrantryError('conflict', { detail, errors: [{ pointer: '/id', detail: 'Is taken.' }] });
  }
  return made;
}

export async function getProject(world: World, id: string): Promise<ProjectRecord> {
  const project = await world.store.projects.get(id);
  if (project === undefined) throw new GrantryError('not_found');
  return project;
}

export async function updateProject(
  world: World,
  id: string,
  change: { name?: string | undefined; return_urls?: string[] | undefined },
): Promise<ProjectRecord> {
  checkReturnUrls(world, change.return_urls);
  const project = await world.store.projects.update(id, change);
  if (project === undefined) throw new GrantryError('not_found');
  return project;
}

/**
 * Deletes a project without integrations and connections, with everything else that is its own: keys, definitions, links, events, webhooks
 * and the data keys its secrets were sealed with. Throws `not_found`, or `conflict` with what is in the way.
 */
export async function deleteProject(world: World, id: string): Promise<void> {
  const inTheWay = (detail: string) => new GrantryError('conflict', { detail });
  if (id === defaultProject) throw inTheWay('The default project is part of every installation.');
  switch (await world.store.projects.remove(id)) {
    case 'removed':
      return;
    case 'missing':
      throw new GrantryError('not_found');
    case 'in_use':
      throw inTheWay('The project has integrations or connections: delete those first, so that the providers are told.');
    case 'revoking':
      throw inTheWay('A provider has still to be told of connections that were deleted: try again later.');
  }
}
