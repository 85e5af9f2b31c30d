// Three token endpoints on addresses of their own; each answers every refresh after 50 ms, or never, and remembers when they came.
import { createServer } from 'node:http';

const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const latencyMs = 50;
const body = Buffer.from(JSON.stringify({ access_token: 'a'.repeat(900), refresh_token: 'r'.repeat(200), token_type: 'Bearer', expires_in: 3600 }));
const head = { 'content-type': 'application/json', 'content-length': body.length };
let hanging = [];
let arrivals = hosts.map(() => []);

const servers = hosts.map((_, n) =>
  createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
    req.resume();
    arrivals[n].push(performance.now());
    if (!hanging.includes(n)) setTimeout(() => res.writeHead(200, head).end(body), latencyMs);
  }),
);
servers[0].listen(0, hosts[0], () => {
  const { port } = servers[0].address();
  let listening = 1;
  for (const n of [1, 2])
    servers[n].listen(port, hosts[n], () => {
      listening += 1;
      if (listening === hosts.length) process.send?.({ urls: hosts.map((host) => `http://${host}:${port}/token`) });
    });
});
process.on('message', (message) => {
  if (message.kind === 'reset') {
    hanging = message.hanging;
    arrivals = hosts.map(() => []);
  }
  process.send?.({ id: message.id, arrivals: message.kind === 'read' ? arrivals : arrivals.map((each) => each.length) });
});
process.on('disconnect', () => process.exit(0));
