import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pageHeaders } from '../../../src/web/pages/headers.ts';
import type { Page } from '../../../src/web/pages/page.ts';
import { renderPage } from '../../../src/web/pages/render.tsx';
import { stylesheet } from '../../../src/web/pages/stylesheet.ts';

export type Served = { origin: string; close: () => Promise<void> };

/** A plain HTTP server on a free loopback port. */
export async function serve(listener: RequestListener): Promise<Served> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export type PageServer = Served & {
  /** Paths that were asked for, in order. */
  asked: string[];
};

/**
 * Serves `pages[name]` at `/<name>` with the stylesheet and the headers of the hosted pages, or with none of the
 * headers at `/bare/<name>`, where only escaping stands between a payload and the browser.
 */
export async function servePages(pages: Readonly<Record<string, Page>>): Promise<PageServer> {
  const asked: string[] = [];
  const served = await serve((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    // Asked for by the browser itself, and only where no policy forbids it.
    if (path === '/favicon.ico') return void response.writeHead(204).end();
    asked.push(path);
    const page = pages[path.replace(/^\/(?:bare\/)?/, '')];
    if (path === stylesheet.path) response.writeHead(200, stylesheet.headers).end(stylesheet.body);
    else if (page === undefined) response.writeHead(404).end();
    else {
      const { html } = renderPage(page);
      const headers = path.startsWith('/bare/') ? { 'Content-Type': 'text/html; charset=utf-8' } : pageHeaders({ formAction: [], https: false });
      // Always 200: the browser would report any other status as an error on its console.
      response.writeHead(200, headers).end(html);
    }
  });
  return { ...served, asked };
}
