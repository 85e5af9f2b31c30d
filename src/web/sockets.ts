import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { addressGroup } from '../protocol/address.ts';

/** What is allowed to the sockets of a server, and who hears of those that went beyond. */
export type SocketLimits = {
  /** How many sockets one address may have open; undefined: as many as it likes, for all are a proxy's. */
  mostPerAddress: number | undefined;
  /** How long a client may take to read what one answer holds beyond the buffers of the system, and how often that is looked at, in milliseconds. */
  readMs: number;
  lookEveryMs: number;
  elapsedMs: () => number;
  /** Hears whose socket was closed, and why. */
  onClosed: (why: 'too_many' | 'unread', address: string) => void;
};

/** Since when nothing was written because what had been written was not taken. */
type Unread = { sinceMs: number; written: number };

/** Closes the sockets of an address beyond its number, and those of clients that ask and do not read. */
export function watchSockets(server: Server, { mostPerAddress, readMs, lookEveryMs, elapsedMs, onClosed }: SocketLimits): void {
  const perAddress = new Map<string, number>();
  const open = new Map<Socket, { address: string; unread: Unread | undefined }>();

  server.on('connection', (socket) => {
    const address = addressGroup(socket.remoteAddress ?? '');
    const count = perAddress.get(address) ?? 0;
    if (mostPerAddress !== undefined && count >= mostPerAddress) {
      socket.destroy();
      return onClosed('too_many', address);
    }
    perAddress.set(address, count + 1);
    open.set(socket, { address, unread: undefined });
    socket.once('close', () => {
      open.delete(socket);
      const left = (perAddress.get(address) ?? 1) - 1;
      if (left === 0) perAddress.delete(address);
      else perAddress.set(address, left);
    });
  });

  const looking = setInterval(() => {
    const nowMs = elapsedMs();
    for (const [socket, state] of open) {
      const written = socket.bytesWritten;
      if (socket.writableLength === 0) state.unread = undefined;
      else if (state.unread?.written !== written) state.unread = { sinceMs: nowMs, written };
      else if (nowMs - state.unread.sinceMs >= readMs) {
        socket.destroy();
        onClosed('unread', state.address);
      }
    }
  }, lookEveryMs).unref();
  server.once('close', () => clearInterval(looking));
}
