import express from 'express';

/** A bare Express server, to hold the start of the broker against. */
const app = express();
app.get('/', (_req, res) => res.json({}));
const server = app.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
