import { setMaxListeners } from 'node:events';
import { rootCertificates } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, errors } from 'undici';
import manifest from '../../package.json' with { type: 'json' };
import { parseOutsideUrl } from '../protocol/address.ts';
import type { Door, DoorRequest, DoorResponse } from '../protocol/door.ts';
import { type ErrorCode, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { type AddressGuard, createAddressGuard, type Resolve } from './address-guard.ts';
import { createAnswer, createUnreadAnswer } from './answer.ts';
import { createHostSlots } from './host-slots.ts';

/** What the door tells about one request; neither path, query, headers nor body, for they hold secrets. */
export type DoorEvent = {
  origin: string;
  method: string;
  durationMs: number;
  outcome: { status: number } | { code: ErrorCode /** Of the network or the parser, such as ECONNREFUSED. */; cause?: string };
};

export type DoorOptions = {
  /** True for sandbox and tests: plain http and private addresses pass. */
  allowPrivateHosts: boolean;
  /** Instead of asking the name servers. */
  resolve?: Resolve;
  /** For waiting in the queue (half of it at most), DNS, connecting, TLS, sending and reading together; 10,000 when left out. */
  deadlineMs?: number;
  /** 65,536 when left out. */
  maxBodyBytes?: number;
  /** Requests that one host has at a time; 32 when left out. Eight times as many may wait. */
  perHost?: number;
  /** Certificates (PEM) of authorities to trust besides the usual ones. */
  ca?: readonly string[];
  log?: (event: DoorEvent) => void;
};

/** Idle connections end before the usual server ends them (5 s and more): a request must not meet a closing one. */
const keepAliveMs = 4_000;
const maxHeaderBytes = 16_384;
/** A body that nobody reads has so long to end, or its connection ends. */
const discardMs = 250;
const userAgent = `grantry/${manifest.version}`;

/** What frames a message or routes it is decided here, not by a definition. */
const ownHeaders = new Set(
  'host connection keep-alive content-length transfer-encoding te trailer upgrade expect proxy-authorization proxy-connection'.split(' '),
);

/** Lower-case names, ours added. Throws `invalid_request` for a header that is not the caller's to set. */
function outgoingHeaders(given: Readonly<Record<string, string>> = {}): Record<string, string> {
  const lower = Object.entries(given).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const own = lower.find(([name]) => ownHeaders.has(name));
  if (own !== undefined) throw new GrantryError('invalid_request', { detail: `The header ${own[0]} cannot be set.` });
  return { 'user-agent': userAgent, ...Object.fromEntries(lower), 'accept-encoding': 'identity' };
}

type Connecting = { deadlineMs: number; ca: readonly string[]; closing: AbortSignal };

/** Connects to checked addresses only. TLS goes on asking for the certificate of the host name, whatever the environment says. */
function guardedConnector(guard: AddressGuard, { deadlineMs, ca, closing }: Connecting): buildConnector.connector {
  const trust = ca.length === 0 ? {} : { ca: [...rootCertificates, ...ca] };
  const connect = buildConnector({ lookup: guard.lookup, timeout: deadlineMs, allowH2: false, rejectUnauthorized: true, signal: closing, ...trust });
  return (options, callback) => {
    guard.checkHost(options.hostname);
    connect(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      if (guard.isAllowedPeer(socket.remoteAddress)) return callback(null, socket);
      socket.destroy();
      // Without an address the connection has ended already.
      callback(socket.remoteAddress === undefined ? new Error('ended') : guard.refusal(), null);
    });
  };
}

/** A short name of what went wrong below; not the error itself, which may hold addresses or what the provider sent. */
function causeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.name : 'unknown';
}

/** True when bytes came that are not HTTP. The parser's complaint about an end in the middle comes without bytes. */
function isGarbage(error: unknown): boolean {
  if (error instanceof errors.HTTPParserError) return 'data' in error && error.data !== '';
  return error instanceof errors.HeadersOverflowError;
}

/** From an error of the network or the parser to one of the door's; `sent`: bytes may have left. */
function doorError(error: unknown, { sent }: { sent: boolean }): GrantryError {
  if (isGrantryError(error)) return error;
  const name = causeOf(error);
  const cause = new Error(name);
  if (!sent && error instanceof errors.InvalidArgumentError) {
    return new GrantryError('invalid_request', { detail: 'A header of the request cannot be sent.', cause });
  }
  if (!sent) return new GrantryError('provider_unreachable', { cause });
  if (isGarbage(error)) return new GrantryError('bad_provider_answer', { detail: "The provider's answer is not HTTP.", cause });
  return new GrantryError('no_answer', { cause });
}

type Exchange = { url: URL; request: DoorRequest; headers: Record<string, string>; maxBodyBytes: number; signal: AbortSignal };

/** `over`: nothing of it uses a connection any more; with an answer whose body is ignored, soon after the answer. */
type Exchanged = { answer: Promise<DoorResponse>; over: Promise<void> };

/** One request on one connection. Whether it was sent is known exactly: `onRequestStart` comes right before the first byte. */
function exchange(agent: Agent, { url, request, headers, maxBodyBytes, signal }: Exchange): Exchanged {
  const isIgnored = request.answerBody === 'ignored';
  const answer = isIgnored ? createUnreadAnswer() : createAnswer({ maxBodyBytes, bodiless: request.method === 'HEAD' });
  let controller: Dispatcher.DispatchController | undefined;
  let discarding: NodeJS.Timeout | undefined;
  let free = () => {};
  const over = new Promise<void>((resolve) => {
    free = () => {
      clearTimeout(discarding);
      resolve();
    };
  });
  const response = new Promise<DoorResponse>((resolve, reject) => {
    const fail = (error: unknown) => {
      // Nothing new for a caller who has the head already.
      reject(doorError(error, { sent: controller !== undefined }));
      free();
    };
    const expire = () => {
      const late = new Error('deadline');
      fail(late);
      controller?.abort(late);
    };
    if (signal.aborted) return expire();
    signal.addEventListener('abort', expire, { once: true });
    const { method, body = null } = request;
    agent.dispatch(
      { origin: url.origin, path: url.pathname + url.search, method, headers, body },
      {
        onRequestStart(started) {
          // Too late for a request that its caller has given up: stopped before a byte of it is written.
          if (signal.aborted) started.abort(new Error('deadline'));
          else controller = started;
        },
        // What these three throw aborts the exchange and arrives at onResponseError.
        onResponseStart(_, status, received) {
          const head = answer.start(status, received);
          if (head === undefined || !isIgnored) return;
          resolve({ ...head, body: '' });
          // One who drips, or says nothing more, would keep the connection and the host's slot.
          discarding = setTimeout(expire, discardMs);
        },
        onResponseData: (_, chunk) => answer.data(chunk),
        onResponseEnd() {
          resolve(answer.end());
          free();
        },
        onResponseError: (_, error) => fail(error),
      },
    );
  });
  return { answer: response, over };
}

/** A signal that fires after so long, unless it is stopped. */
function expiry(ms: number): { signal: AbortSignal; stop: () => void } {
  const expiring = new AbortController();
  const timer = setTimeout(() => expiring.abort(), ms);
  return { signal: expiring.signal, stop: () => clearTimeout(timer) };
}

/**
 * Opens the one way out of the process. Nothing is retried, followed, decompressed or remembered between requests but
 * the connection itself, which is used again for the same origin. Proxy variables of the environment are not looked at.
 * Errors: those of `Door`, and `invalid_request` for a header that cannot be sent. `close` waits for what is under way.
 */
export function createDoor(options: DoorOptions): { send: Door; close(): Promise<void> } {
  const { allowPrivateHosts, deadlineMs = 10_000, maxBodyBytes = 65_536, perHost = 32, log } = options;
  const guard = createAddressGuard(options);
  const slots = createHostSlots({ perHost, maxWaiting: perHost * 8 });
  const underWay = new Set<Promise<DoorResponse>>();
  const closing = new AbortController();
  // Each open connection listens.
  setMaxListeners(0, closing.signal);
  let open = true;
  const agent = new Agent({
    connect: guardedConnector(guard, { deadlineMs, ca: options.ca ?? [], closing: closing.signal }),
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    maxHeaderSize: maxHeaderBytes,
    // The deadline bounds all of it; a timer for each silence would not see a drip.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  async function pass(url: URL, request: DoorRequest): Promise<DoorResponse> {
    const headers = outgoingHeaders(request.headers);
    const begunMs = performance.now();
    // What is sent must have time for its answer: one that nobody waits for may have used up a refresh token.
    const patience = expiry(deadlineMs / 2);
    const release = await slots.take(url.hostname, patience.signal).finally(patience.stop);
    const deadline = expiry(deadlineMs - (performance.now() - begunMs));
    const { answer, over } = exchange(agent, { url, request, headers, maxBodyBytes, signal: deadline.signal });
    void over.then(deadline.stop).then(release);
    return await answer;
  }

  async function send(request: DoorRequest): Promise<DoorResponse> {
    const url = parseOutsideUrl(request.url, { allowPrivateHosts });
    if (!open) throw new GrantryError('provider_unreachable');
    const startedMs = performance.now();
    const passage = pass(url, request);
    underWay.add(passage);
    const tell = (outcome: DoorEvent['outcome']) =>
      log?.({ origin: url.origin, method: request.method, durationMs: Math.round(performance.now() - startedMs), outcome });
    try {
      const response = await passage;
      tell({ status: response.status });
      return response;
    } catch (error) {
      if (isGrantryError(error)) tell({ code: error.code, ...(error.cause instanceof Error && { cause: error.cause.message }) });
      throw error;
    } finally {
      underWay.delete(passage);
    }
  }

  return {
    send,
    async close() {
      open = false;
      await Promise.allSettled(underWay);
      // First what still connects, for nobody; the agent does not know of it.
      closing.abort();
      await agent.destroy();
    },
  };
}
