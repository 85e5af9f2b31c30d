import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { World } from '../broker/world.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { stackOf } from '../protocol/stack.ts';
import { clientAddress } from './address.ts';
import { openApiDocument } from './api/openapi.ts';
import { apiRouter } from './api/router.ts';
import type { Gate, RootKey } from './authentication.ts';
import { answerClientError } from './client-error.ts';
import { connectRouter } from './connect/routes.ts';
import { showPage } from './connect/show.ts';
import { docsRouter } from './docs/routes.ts';
import { limitPages, limitUnknownCallbacks } from './flood.ts';
import { createGuesses } from './guesses.ts';
import { type MetricsText, metricsRoute } from './metrics-route.ts';
import { stylesheet } from './pages/stylesheet.ts';
import { asGrantryError, problemOf } from './problem.ts';
import { requestIdOf } from './request-id.ts';
import { watchSockets } from './sockets.ts';
import { serveToken, tokenPathOf } from './token-route.ts';
import { createWitness } from './witness.ts';

/** The web floor put together: the token path in front, Express for everything else. */

export type WebOptions = {
  world: World;
  root: RootKey;
  /** Proxies in front of us whose X-Forwarded-For counts. */
  trustProxy: number;
  /** Without it there is no /metrics. */
  metrics?: MetricsText;
  /** How many connections one address may have open at once; it counts only where no proxy is trusted, for otherwise all are a proxy's. */
  mostSockets: number;
  patience?: Patience;
};

/** How long a client may take to send its headers, to send all of its request and to read an answer, and how often that is looked at, in milliseconds. */
export type Patience = { headersMs: number; requestMs: number; readMs: number; lookEveryMs: number };

const usualPatience: Patience = { headersMs: 10_000, requestMs: 30_000, readMs: 60_000, lookEveryMs: 5_000 };

/** So often is told that sockets of an address were closed. */
const toldEveryMs = 60_000;

/** 8 KiB of query, and the longest path. */
const longestUrl = 8_704;

const isPagePath = (path: string) => path.startsWith('/connect/') || path.startsWith('/oauth/');

function createApp({ world, gate, trustProxy, metrics }: Pick<WebOptions, 'world' | 'trustProxy' | 'metrics'> & { gate: Gate }): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', trustProxy);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);

  app.use((req, res, next) => {
    const startedAt = performance.now();
    const requestId = requestIdOf(req);
    res.set({ 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer' });
    // The route's pattern and not the URL: tokens, codes and states are in URLs.
    res.on('finish', () => {
      const route: unknown = req.route?.path;
      world.log.info(
        {
          request_id: requestId,
          ip: req.ip,
          method: req.method,
          route: typeof route === 'string' ? route : null,
          status: res.statusCode,
          ms: Math.round(performance.now() - startedAt),
        },
        'request',
      );
    });
    next();
  });

  app.use((req, _res, next) => {
    if (req.url.length > longestUrl) throw new GrantryError('address_too_long');
    next();
  });
  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }));
  app.get('/readyz', async (_req, res) => {
    try {
      await world.store.ping();
      res.json({ status: 'ready' });
    } catch {
      res.status(503).json({ status: 'unavailable', detail: 'Postgres does not answer.' });
    }
  });
  if (metrics !== undefined) app.get('/metrics', metricsRoute(world, gate, metrics));
  let document: unknown;
  app.get('/openapi.json', (_req, res) => {
    document ??= openApiDocument(world.publicUrl);
    res.json(document);
  });
  app.get(
    stylesheet.path,
    (_req, res) =>
      void res.set({ 'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'public, max-age=31536000, immutable' }).send(stylesheet.body),
  );
  app.use(docsRouter(world));
  app.use(['/connect', '/oauth/callback'], limitPages(world, trustProxy));
  app.use('/oauth/callback', limitUnknownCallbacks(world, trustProxy));
  app.use(connectRouter(world, gate.witness));
  app.use(apiRouter(world, gate));

  app.use((req: Request, res: Response) => {
    if (isPagePath(req.path)) return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
    const problem = problemOf({ status: 404 }, requestIdOf(req));
    res.status(problem.status).set(problem.headers).json(problem.body);
  });

  // Express tells an error handler by its four parameters.
  app.use((error: unknown, req: Request, res: Response, _next: NextFunction) => {
    const requestId = requestIdOf(req);
    const known = asGrantryError(error);
    if (known.status >= 500) logError(world, error, requestId);
    if (res.headersSent) return void res.destroy();
    if (isPagePath(req.path)) {
      if (known.code === 'rate_limited') {
        res.set('Retry-After', String(known.details.retryAfterS));
        return showPage(world, res, { kind: 'rate_limited', requestId });
      }
      if (known.status >= 500) return showPage(world, res, { kind: 'error', requestId });
      if (known.status !== 414) return showPage(world, res, { kind: 'failed', code: 'invalid_callback', requestId });
    }
    const problem = problemOf(known, requestId);
    res.status(problem.status).set(problem.headers).send(JSON.stringify(problem.body));
  });
  return app;
}

/** Names and places only: messages of foreign errors hold parameters and bodies. */
function logError(world: World, error: unknown, requestId: string): void {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : undefined;
  world.log.error(
    {
      request_id: requestId,
      error: isGrantryError(error) ? error.code : 'unexpected',
      name: cause instanceof Error ? cause.name : typeof cause,
      code,
      stack: stackOf(cause),
    },
    'request failed',
  );
}

/** The server, not yet listening. Clients that send slowly or too much are cut by node's own limits. */
export function createWebServer(options: WebOptions): Server {
  const { world, root, trustProxy, mostSockets, patience: { headersMs, requestMs, readMs, lookEveryMs } = usualPatience } = options;
  const guesses = createGuesses(world, trustProxy);
  // Whoever runs the broker is not locked out by what else comes from the same address.
  guesses.right(root.hash.toString('latin1'));
  const gate: Gate = {
    ...root,
    guesses,
    witness: createWitness(world, trustProxy),
    addressOf: (req) => clientAddress(req, trustProxy),
  };
  const app = createApp({ ...options, gate });
  const onError = (error: unknown, requestId: string) => {
    if (!isGrantryError(error, 'provider_unavailable', 'unavailable')) logError(world, error, requestId);
  };
  const server = createServer(
    {
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: lookEveryMs,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16_384,
    },
    (req: IncomingMessage, res: ServerResponse) => {
      const tokenPath = tokenPathOf(req);
      if (tokenPath === undefined) app(req, res);
      else void serveToken({ world, gate, onError }, req, res, tokenPath);
    },
  );
  server.maxRequestsPerSocket = 0;
  server.on('clientError', answerClientError);
  let toldMs = Number.NEGATIVE_INFINITY;
  watchSockets(server, {
    mostPerAddress: trustProxy === 0 ? mostSockets : undefined,
    readMs,
    lookEveryMs,
    elapsedMs: world.elapsedMs,
    onClosed(why, ip) {
      if (world.elapsedMs() - toldMs < toldEveryMs) return;
      toldMs = world.elapsedMs();
      world.log.warn({ ip, why }, 'a connection was closed; more of them in the next minute are not told');
    },
  });
  return server;
}
