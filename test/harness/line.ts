import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP line to a server, on a port of its own, that can be cut and mended: the server is away for whoever goes through it. */
export type Line = {
  /** The server's URL through the line. */
  url: string;
  /** Refuses connections and ends those that are there. */
  cut(): Promise<void>;
  mend(): Promise<void>;
};

/** `defaultPort`: of the server, when its URL names none. The line is whole at first; cut it at the end. */
export async function layLine(serverUrl: string, defaultPort: number): Promise<Line> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;

  async function mend(): Promise<void> {
    server = createServer((near) => {
      const far = connect(Number(target.port || defaultPort), target.hostname);
      for (const [from, to] of [[near, far] as const, [far, near] as const]) {
        sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
      }
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  await mend();
  const through = new URL(serverUrl);
  through.hostname = '127.0.0.1';
  through.port = String(port);
  return {
    url: through.href,
    mend,
    async cut() {
      const closed = server && once(server, 'close');
      server?.close();
      for (const socket of sockets) socket.destroy();
      server = undefined;
      await closed;
    },
  };
}
