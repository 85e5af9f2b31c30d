import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Door, DoorResponse } from '../../src/protocol/door.ts';
import { isSigned, parseAuthorization } from '../independent/rfc5849.ts';

/** A small OAuth 1.0a server on real HTTP, for the tests; checks signatures with the independent implementation. */
export type Seen = { path: string; authorization: string; oauth: Map<string, string>; form: URLSearchParams; contentType: string | undefined };
type Reply = { status: number; headers?: Record<string, string>; body?: string };

export type Provider = {
  origin: string;
  seen: Seen[];
  /** Changes the next answers: return a reply, or undefined to go on as usual. */
  behave: { answer?: (seen: Seen) => Reply | undefined; clockMs: number; confirmed: string | undefined; publicKey?: string };
  /** The verifier that the end user's approval gives. */
  approve: (requestToken: string) => string;
  close: () => Promise<void>;
};

export const consumer = { key: 'c+k&', secret: 'cs & %+/' };

export async function startProvider(): Promise<Provider> {
  const seen: Seen[] = [];
  const behave: Provider['behave'] = { clockMs: 0, confirmed: 'true' };
  const temporary = new Map<string, { secret: string; callback: string; verifier?: string }>();
  const access = new Map<string, string>();
  const nonces = new Set<string>();
  let count = 0;

  const refused = (problem: string): Reply => ({ status: 401, body: `oauth_problem=${problem}` });

  function handle(req: IncomingMessage, body: string): Reply {
    const origin = `http://${req.headers.host}`;
    const authorization = req.headers.authorization ?? '';
    const contentType = req.headers['content-type'];
    const one: Seen = { path: req.url ?? '', authorization, oauth: parseAuthorization(authorization), form: new URLSearchParams(body), contentType };
    seen.push(one);
    const special = behave.answer?.(one);
    if (special !== undefined) return special;

    const token = one.oauth.get('oauth_token') ?? '';
    const [path] = one.path.split('?', 1);
    const flow = temporary.get(token);
    const tokenSecret = path === '/request_token' ? '' : path === '/access_token' ? flow?.secret : access.get(token);
    if (one.oauth.get('oauth_consumer_key') !== consumer.key) return refused('consumer_key_unknown');
    if (tokenSecret === undefined) return refused('token_rejected');
    const raw = { method: req.method ?? '', uri: `${origin}${req.url}`, authorization, contentType, body };
    if (!isSigned(raw, { client: consumer.secret, token: tokenSecret, publicKey: behave.publicKey })) return refused('signature_invalid');
    const timestampS = one.oauth.get('oauth_timestamp') ?? '';
    if (!/^[1-9]\d*$/.test(timestampS) || Math.abs(Number(timestampS) * 1000 - (Date.now() + behave.clockMs)) > 300_000)
      return { status: 401, body: 'clock' };
    const nonce = `${timestampS} ${token} ${one.oauth.get('oauth_nonce')}`;
    if (nonces.has(nonce)) return refused('nonce_used');
    nonces.add(nonce);

    if (path === '/request_token') {
      const key = `rt${++count}`;
      temporary.set(key, { secret: `rs&${count}`, callback: one.oauth.get('oauth_callback') ?? '' });
      const confirmed = behave.confirmed === undefined ? '' : `&oauth_callback_confirmed=${behave.confirmed}`;
      return { status: 200, body: `oauth_token=${key}&oauth_token_secret=rs%26${count}${confirmed}` };
    }
    if (path === '/access_token') {
      if (one.oauth.get('oauth_verifier') !== flow?.verifier) return refused('verifier_invalid');
      temporary.delete(token);
      const key = `at${++count}`;
      access.set(key, `as%${count}`);
      return { status: 200, body: `oauth_token=${key}&oauth_token_secret=as%25${count}&user_id=42&screen_name=a%20b&x=` };
    }
    return { status: 200, body: 'resource' };
  }

  const server: Server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const reply = handle(req, Buffer.concat(chunks).toString());
      const date = new Date(Date.now() + behave.clockMs).toUTCString();
      res.writeHead(reply.status, { date, 'content-type': 'application/x-www-form-urlencoded', ...reply.headers }).end(reply.body ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    seen,
    behave,
    approve(requestToken) {
      const flow = temporary.get(requestToken);
      if (flow === undefined) throw new Error('no such request token');
      flow.verifier = `v+${requestToken}`;
      return flow.verifier;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A door without the guards of the real one. */
export const door: Door = ({ method, url, headers, body }) =>
  new Promise<DoorResponse>((resolve, reject) => {
    const outgoing = request(url, { method, headers: { ...headers, 'content-length': Buffer.byteLength(body ?? '') }, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        const lower = Object.fromEntries(Object.entries(res.headers).map(([name, value]) => [name, String(value)]));
        resolve({ status: res.statusCode ?? 0, headers: lower, body: Buffer.concat(chunks).toString() });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
