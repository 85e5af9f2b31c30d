import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';

export type Local = {
  port: number /** How many connections were made. */;
  connections: () => number /** How many of them are open still. */;
  open: () => number;
  close(): Promise<void>;
};

/** Real servers on the loopback interface, closed with all their connections by `close`. */
async function listen(server: Server, host: string): Promise<Local> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return {
    port: address.port,
    connections: () => connections,
    open: () => sockets.size,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export const serveHttp = (handler: RequestListener, host = '127.0.0.1') => listen(createHttpServer(handler), host);
export const serveHttps = (tls: { key: string; cert: string }, handler: RequestListener) => listen(createHttpsServer(tls, handler), '127.0.0.1');
/** A server that speaks as `talk` says, once per connection. */
export const serveTcp = (talk: (socket: Socket) => void, host = '127.0.0.1') => listen(createTcpServer(talk), host);

/** A server that answers each request (as many as it finds ends of headers) with the same bytes, and leaves the rest to `then`. */
export const serveBytes = (bytes: string | Buffer, then: (socket: Socket) => void = () => {}) =>
  serveTcp((socket) => {
    socket.on('data', (chunk) => {
      if (!chunk.includes('\r\n\r\n')) return;
      socket.write(bytes);
      then(socket);
    });
  });
