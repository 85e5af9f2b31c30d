import express from 'express';

/** What the token path is held against: the barest Express JSON route, with an answer of the same size. */

const body = JSON.parse(process.env.BENCH_BODY ?? '{}');
const app = express();
app.get('/token', (_req, res) => {
  res.json(body);
});
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
