import { createServer } from 'node:http';

/** The integrator's own website: where browsers come back to. It keeps what came in the query, as its server would. */

export type Integrator = { returnUrl: string; arrivals: URLSearchParams[]; stop(): Promise<void> };

export async function startIntegrator(): Promise<Integrator> {
  const arrivals: URLSearchParams[] = [];
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://localhost');
    if (url.pathname === '/connected') arrivals.push(url.searchParams);
    res.writeHead(url.pathname === '/connected' ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
    res.end('<!doctype html><html lang="en"><title>Back at Acme</title><h1>Back at Acme</h1><p>Acme took notice.</p></html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    returnUrl: `http://127.0.0.1:${port}/connected`,
    arrivals,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
