import { once } from 'node:events';
import { createServer } from 'node:http';
import { hookPath } from './failpoints.ts';

/** Takes every webhook, and remembers which events it was told. */
export type Receiver = {
  url: string;
  /** How often each event came. */
  seen: ReadonlyMap<string, number>;
  stop(): Promise<void>;
};

export async function startReceiver(): Promise<Receiver> {
  const seen = new Map<string, number>();
  const server = createServer((request, response) => {
    const id = String(request.headers['webhook-id']);
    request.resume().on('end', () => {
      seen.set(id, (seen.get(id) ?? 0) + 1);
      response.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}${hookPath}`,
    seen,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
