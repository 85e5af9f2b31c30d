import type { Request, Response } from 'express';
import type { LinkErrorCode, LinkRecord } from '../../broker/records.ts';
import { withOutcome } from '../../broker/return-urls.ts';
import type { World } from '../../broker/world.ts';
import { pageHeaders } from '../pages/headers.ts';
import type { Page } from '../pages/page.ts';
import { renderPage } from '../pages/render.tsx';
import { requestIdOf } from '../request-id.ts';

/** What the connect routes answer with: a page, or a 303 to a URL that was registered or built by us. */

/** Renders a page. `leaves`: its form's POST may end at the provider or at the return URL. */
export function showPage(world: World, res: Response, page: Page, { leaves }: { leaves: 'us' | 'never' } = { leaves: 'never' }): void {
  const { html, status } = renderPage(page);
  const formAction = leaves === 'never' ? [] : ['https:', ...(world.allowPrivateHosts || world.publicUrl.startsWith('http:') ? ['http:'] : [])];
  res
    .status(status)
    .set(pageHeaders({ formAction, https: world.publicUrl.startsWith('https:') }))
    .send(html);
}

/** 303: whatever was posted is not posted again. */
export function goTo(res: Response, url: string): void {
  res.status(303).set({ Location: url, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' }).end();
}

export const resultPath = (link: LinkRecord): string => `/connect/result/${link.id}`;

/** The end of a flow in the browser that began it: the integrator's return URL, or our own result page. */
export function endFlow(
  world: World,
  res: Response,
  link: LinkRecord,
  outcome: { status: 'connected'; connectionId: string } | { status: 'failed'; code: LinkErrorCode },
): void {
  if (link.return_url === null) return goTo(res, `${world.publicUrl}${resultPath(link)}`);
  const told = outcome.status === 'connected' ? { connection_id: outcome.connectionId } : { error: outcome.code };
  goTo(res, withOutcome(link.return_url, { connect_link: link.id, status: outcome.status, ...told }));
}

export const known = (req: Request, link: LinkRecord) => ({ provider: link.snapshot.definition.name, requestId: requestIdOf(req) });
