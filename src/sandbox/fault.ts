import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerJson } from './exchange.ts';
import type { Later } from './listener.ts';

/** What goes wrong at a provider's endpoint. `times` counts requests down; without it the fault stays until it is changed. */
export type Fault = { times?: number } & (
  | { kind: 'none' }
  /** 503; nothing is processed. */
  | { kind: 'down' }
  /** 500 with an HTML page; nothing is processed. */
  | { kind: 'error_500' }
  /** 429 or 503 with Retry-After; nothing is processed. */
  | { kind: 'retry_after'; seconds: number; status?: 429 | 503 }
  /** 200 with something that is no JSON; nothing is processed. */
  | { kind: 'garbage' }
  /** An RFC 6749 section 5.2 error; nothing is processed. */
  | { kind: 'refuse'; error: string; status: number }
  | { kind: 'invalid_client' }
  /** The request waits before it is processed. `onHeld` is called when it begins to. */
  | { kind: 'slow'; ms: number; onHeld?: () => void }
  /** Processed at once; the answer waits. `onHeld` is called when it begins to. */
  | { kind: 'slow_answer'; ms: number; onHeld?: () => void }
  /** Processed; then the connection is cut and no answer comes. */
  | { kind: 'drop' }
);

/** Takes the fault for this request from the named switch and counts it. */
export function takeFault<Name extends string>(switches: { [_ in Name]: Fault }, name: Name): Fault {
  const fault = switches[name];
  if (fault.times === undefined) return fault;
  if (fault.times <= 0) {
    switches[name] = { kind: 'none' };
    return switches[name];
  }
  fault.times -= 1;
  return fault;
}

function holdAnswer(response: ServerResponse, release: (send: () => void) => void): void {
  const end = response.end.bind(response);
  const held = (...args: Parameters<typeof end>): ServerResponse => {
    release(() => end(...args));
    return response;
  };
  response.end = held as typeof response.end; // The overloads of a stream's end() have no other spelling.
}

type Exchange = { request: IncomingMessage; response: ServerResponse; later: Later };

/** Lets the fault happen; `process` answers as the provider would, where the fault lets it come to that. */
export async function withFault(fault: Fault, { response, later }: Exchange, process: () => Promise<void> | void): Promise<void> {
  switch (fault.kind) {
    case 'none':
      return process();
    case 'down':
      return void response.writeHead(503, { 'content-type': 'text/plain' }).end('down');
    case 'error_500':
      return void response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>Internal Server Error</h1>');
    case 'retry_after':
      return answerJson(response, fault.status ?? 503, { error: 'temporarily_unavailable' }, { 'retry-after': String(fault.seconds) });
    case 'garbage':
      return void response.writeHead(200, { 'content-type': 'application/json' }).end('\u0001{not json at all');
    case 'refuse':
      return answerJson(response, fault.status, { error: fault.error });
    case 'invalid_client':
      return answerJson(response, 401, { error: 'invalid_client' }, { 'www-authenticate': 'Basic realm="sandbox"' });
    case 'slow':
      await new Promise<void>((resolve) => {
        later(fault.ms, resolve);
        fault.onHeld?.();
      });
      return process();
    case 'slow_answer':
      holdAnswer(response, (send) => {
        later(fault.ms, send);
        fault.onHeld?.();
      });
      return process();
    case 'drop':
      holdAnswer(response, () => response.destroy());
      return process();
  }
}
