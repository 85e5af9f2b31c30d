import { Router } from 'express';
import type { World } from '../../broker/world.ts';
import { openApiDocument } from '../api/openapi.ts';
import { pageHeaders } from '../pages/headers.ts';
import { renderReference } from './reference.tsx';

/** /docs: the API as a page a person can read, rendered from /openapi.json. */
export function docsRouter(world: World): Router {
  const router = Router();
  let html: string | undefined;
  router.get('/docs', (_req, res) => {
    html ??= renderReference(openApiDocument(world.publicUrl));
    res.set(pageHeaders({ formAction: [], https: world.publicUrl.startsWith('https:') })).send(html);
  });
  return router;
}
