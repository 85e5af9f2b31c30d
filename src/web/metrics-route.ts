import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { requireScope } from '../broker/caller.ts';
import type { World } from '../broker/world.ts';
import { apiHeaders } from './api-headers.ts';
import { authenticate, type Gate } from './authentication.ts';

/** What the broker has counted, for Prometheus: on the main port with a key, on a port of its own without. */

/** `project`: without what concerns other projects. */
export type MetricsText = (audience?: 'operator' | 'project') => Promise<{ contentType: string; body: string }>;

/** `GET /metrics` for the root key and for API keys with the scope `admin`. */
export const metricsRoute =
  (world: World, gate: Gate, text: MetricsText): RequestHandler =>
  async (req: Request, res: Response) => {
    res.set(apiHeaders);
    const caller = await authenticate(world, gate, req);
    requireScope(caller, 'admin');
    const { contentType, body } = await text(caller.kind === 'root' ? 'operator' : 'project');
    res.set('Content-Type', contentType).end(body);
  };

export type MetricsServer = {
  address: { host: string; port: number };
  stop(): Promise<void>;
};

/** Answers `GET /metrics` and `GET /healthz`, and nothing else. Whoever reaches the port may read. */
export async function startMetricsServer({ host, port, text }: { host: string; port: number; text: MetricsText }): Promise<MetricsServer> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 65_000, maxHeaderSize: 8_192 }, (req, res) => {
    const path = req.method === 'GET' ? req.url?.split('?')[0] : undefined;
    const answer = (status: number, contentType: string, body: string) =>
      res.writeHead(status, { ...apiHeaders, 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) }).end(body);
    const plain = 'text/plain; charset=utf-8';
    if (path === '/healthz') answer(200, 'application/json; charset=utf-8', '{"status":"ok"}');
    else if (path !== '/metrics') answer(404, plain, 'Not found.\n');
    else
      text('operator').then(
        ({ contentType, body }) => answer(200, contentType, body),
        () => answer(500, plain, 'The metrics cannot be read.\n'),
      );
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return {
    address: { host, port: typeof address === 'object' && address !== null ? address.port : port },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
