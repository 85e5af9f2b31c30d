import { createCipheriv, createDecipheriv, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { answerJson, readBody, targetOf } from './exchange.ts';
import { type Fault, takeFault, withFault } from './fault.ts';
import { listen } from './listener.ts';

/** A key service as docs/keys.md wants it: it wraps with AES-256-GCM under keys that never leave it, and can turn to a new one. */
export type SandboxKms = {
  url: string;
  /** The bearer credential that it takes. */
  token: string;
  /** `lying`: answers in form, with something else than was wrapped. */
  switches: { fault: Fault; answers: 'honest' | 'lying' };
  counters: { key: number; wrap: number; unwrap: number };
  /** Makes a new key; the former ones go on unwrapping. Its id. */
  rotate(): string;
  /** Destroys a key. */
  forget(id: string): void;
  stop(): Promise<void>;
};

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const same = (a: string, b: string) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** Starts it on a free port of 127.0.0.1. */
export async function startKms(): Promise<SandboxKms> {
  const listener = await listen();
  const token = `kms_${randomBytes(24).toString('base64url')}`;
  const keys = new Map<string, Buffer>();
  let current = '';
  const kms: SandboxKms = {
    url: `${listener.url}/v1`,
    token,
    switches: { fault: { kind: 'none' }, answers: 'honest' },
    counters: { key: 0, wrap: 0, unwrap: 0 },
    rotate() {
      current = `sandbox/master/${keys.size + 1}-${randomBytes(4).toString('hex')}`;
      keys.set(current, randomBytes(32));
      return current;
    },
    forget: (id) => void keys.delete(id),
    stop: listener.stop,
  };
  kms.rotate();

  function wrap(context: unknown, plaintext: string): { key: string; wrapped: string } {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', keys.get(current) ?? Buffer.alloc(0), iv);
    cipher.setAAD(Buffer.from(JSON.stringify(context)));
    const ciphertext = Buffer.concat([cipher.update(Buffer.from(plaintext, 'base64url')), cipher.final()]);
    return { key: current, wrapped: Buffer.concat([iv, cipher.getAuthTag(), ciphertext]).toString('base64url') };
  }

  function unwrap({ context, key, wrapped }: Record<string, unknown>): string | undefined {
    const bytes = Buffer.from(String(wrapped), 'base64url');
    const secret = keys.get(String(key));
    if (secret === undefined || bytes.length < 28) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(JSON.stringify(context)));
    decipher.setAuthTag(bytes.subarray(12, 28));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('base64url');
    } catch {
      return undefined;
    }
  }

  async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
    const body: unknown = JSON.parse(await readBody(request));
    return isRecord(body) ? body : {};
  }

  listener.handle(async (request, response, later) => {
    await withFault(takeFault(kms.switches, 'fault'), { request, response, later }, async () => {
      if (!same(request.headers.authorization ?? '', `Bearer ${token}`)) return answerJson(response, 403, { error: 'forbidden' });
      const path = targetOf(request, listener.url).pathname;
      if (request.method === 'GET' && path === '/v1/key') {
        kms.counters.key += 1;
        return answerJson(response, 200, { key: current });
      }
      if (request.method !== 'POST') return answerJson(response, 404, { error: 'not_found' });
      const body = await bodyOf(request);
      if (path === '/v1/wrap' && typeof body.plaintext === 'string') {
        kms.counters.wrap += 1;
        return answerJson(response, 200, wrap(body.context, body.plaintext));
      }
      if (path === '/v1/unwrap') {
        kms.counters.unwrap += 1;
        const plaintext = kms.switches.answers === 'lying' ? randomBytes(32).toString('base64url') : unwrap(body);
        return plaintext === undefined ? answerJson(response, 400, { error: 'wrong_key' }) : answerJson(response, 200, { plaintext });
      }
      answerJson(response, 404, { error: 'not_found' });
    });
  });
  return kms;
}
