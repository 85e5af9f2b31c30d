import { createProject, deleteProject, getProject, updateProject } from '../../broker/projects.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import * as s from './schemas.ts';
import { projectView } from './views.ts';

/** Projects: the root key's. */
export const projects: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/projects',
    scope: 'root',
    tag: 'Projects',
    summary: 'List projects',
    query: s.page,
    answer: s.listOf(s.project),
    status: 200,
    handle: async ({ world, query }) => {
      const { items, next } = await world.store.projects.list(pageOf(query));
      return { data: items.map(projectView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/projects',
    scope: 'root',
    tag: 'Projects',
    summary: 'Add a project',
    audit: { action: 'project.created', project: ({ body }) => body.id },
    body: s.projectBody,
    answer: s.project,
    status: 201,
    errors: ['conflict'],
    handle: async ({ world, body }) => projectView(await createProject(world, body)),
  }),
  endpoint({
    method: 'get',
    path: '/v1/projects/:id',
    scope: 'root',
    tag: 'Projects',
    summary: 'Read a project',
    answer: s.project,
    status: 200,
    handle: async ({ world, params }) => projectView(await getProject(world, params.id ?? '')),
  }),
  endpoint({
    method: 'patch',
    path: '/v1/projects/:id',
    scope: 'root',
    tag: 'Projects',
    summary: 'Change the name or the registered return URLs',
    audit: { action: 'project.updated', project: ({ params }) => params.id ?? '' },
    body: s.projectPatch,
    answer: s.project,
    status: 200,
    handle: async ({ world, params, body }) => projectView(await updateProject(world, params.id ?? '', body)),
  }),
  endpoint({
    method: 'delete',
    path: '/v1/projects/:id',
    scope: 'root',
    tag: 'Projects',
    summary: 'Delete a project without integrations and connections, for good',
    audit: { action: 'project.deleted', project: ({ params }) => params.id ?? '' },
    description: 'Its keys end at once; its definitions, links, events, webhooks and data keys go with it. Its id is not given again.',
    status: 204,
    errors: ['conflict'],
    handle: ({ world, params }) => deleteProject(world, params.id ?? ''),
  }),
];
