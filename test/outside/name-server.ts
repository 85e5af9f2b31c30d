import { createSocket } from 'node:dgram';

/** A DNS server on 127.0.0.1 (UDP) with the given A and AAAA records (as bytes); silent for names that begin with `silent`. */
export async function serveNames(records: Readonly<Record<string, { a?: readonly number[]; aaaa?: readonly number[] }>>) {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', (query, from) => {
    asked += 1;
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const end = at + 5;
    const name = labels.join('.').toLowerCase();
    if (name.startsWith('silent')) return;
    const type = query.readUInt16BE(at + 1);
    const data = type === 1 ? records[name]?.a : type === 28 ? records[name]?.aaaa : undefined;
    const head = Buffer.from([0, 0, 0x81, records[name] === undefined ? 0x83 : 0x80, 0, 1, 0, data === undefined ? 0 : 1, 0, 0, 0, 0]);
    query.copy(head, 0, 0, 2);
    const answer = data === undefined ? [] : [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length, ...data];
    socket.send(Buffer.concat([head, query.subarray(12, end), Buffer.from(answer)]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    server: `127.0.0.1:${socket.address().port}`,
    asked: () => asked,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}
