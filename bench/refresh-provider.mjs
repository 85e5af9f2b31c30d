// A token endpoint that answers every refresh after LATENCY_MS (changed over IPC), and counts when they came.
import { createServer } from 'node:http';

let latencyMs = 0;
let arrivals = [];
let running = 0;
let most = 0;
const answer = Buffer.from(
  JSON.stringify({ access_token: 'a'.repeat(900), refresh_token: 'r'.repeat(200), token_type: 'Bearer', expires_in: 3600, scope: 'read write' }),
);
const head = { 'content-type': 'application/json', 'content-length': answer.length };
const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  req.resume();
  arrivals.push(performance.now());
  running += 1;
  if (running > most) most = running;
  const send = () => {
    running -= 1;
    res.writeHead(200, head).end(answer);
  };
  if (latencyMs === 0) send();
  else setTimeout(send, latencyMs);
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
process.on('message', (message) => {
  if (message.kind === 'reset') {
    latencyMs = message.latencyMs;
    arrivals = [];
    most = 0;
  }
  process.send?.({ id: message.id, arrivals: message.kind === 'read' ? arrivals : arrivals.length, most });
});
process.on('disconnect', () => process.exit(0));
