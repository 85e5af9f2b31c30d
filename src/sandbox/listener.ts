import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** Runs `run` after `ms` milliseconds, unless the listener stops before. */
export type Later = (ms: number, run: () => void) => void;

export type Handler = (request: IncomingMessage, response: ServerResponse, later: Later) => Promise<void> | void;

export type Listener = {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  url: string;
  /** From now on requests go to this handler (a provider that needs its own address first comes here late). */
  handle(handler: Handler): void;
  /** Ends the server, every socket and every timer. */
  stop(): Promise<void>;
};

/** Listens on a free port of 127.0.0.1. A handler that throws is answered with 500, or cut off when the answer has begun. */
export async function listen(): Promise<Listener> {
  const timers = new Set<NodeJS.Timeout>();
  let handler: Handler = (_, response) => void response.writeHead(503).end();

  const later: Later = (ms, run) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  };

  const server = createServer(async (request, response) => {
    try {
      await handler(request, response, later);
    } catch {
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { 'content-type': 'text/plain' }).end('The sandbox failed.');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The sandbox listens on no port.');

  return {
    url: `http://127.0.0.1:${address.port}`,
    handle: (next) => {
      handler = next;
    },
    stop: async () => {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
