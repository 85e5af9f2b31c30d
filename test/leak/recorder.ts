import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before the broker and keeps every answer, whoever asked: program, browser, command line. */

export type Recorded = { method: string; path: string; status: number; bytes: Buffer };
export type Recorder = { url: string; answers: Recorded[]; goTo(brokerUrl: string): void; stop(): Promise<void> };

export async function startRecorder(): Promise<Recorder> {
  const answers: Recorded[] = [];
  let target = '';
  // The broker's promise of 65 s goes through to the client: whoever closes before that cuts off a request on its way.
  const server = createServer({ maxHeaderSize: 65_536, keepAliveTimeout: 70_000 }, (req, res) => {
    const { hostname, port } = new URL(target);
    const onward = request({ hostname, port, method: req.method, path: req.url, headers: req.headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => res.destroy());
      answer.on('end', () => {
        const body = Buffer.concat(chunks);
        const bytes = Buffer.concat([Buffer.from(`${answer.statusMessage}\n${answer.rawHeaders.join('\n')}\n`), body]);
        answers.push({ method: req.method ?? '', path: (req.url ?? '').split('?')[0] ?? '', status: answer.statusCode ?? 0, bytes });
        res.writeHead(answer.statusCode ?? 500, answer.rawHeaders).end(body);
      });
    });
    onward.on('error', () => res.destroy());
    req.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    answers,
    goTo(brokerUrl) {
      target = brokerUrl;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
