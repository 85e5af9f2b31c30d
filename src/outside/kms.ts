import { z } from 'zod';
import type { Log } from '../broker/world.ts';
import type { Door, DoorResponse } from '../protocol/door.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { Secret } from '../protocol/secret.ts';
import { createSeldom } from '../protocol/seldom.ts';
import { withoutEnd } from '../protocol/without-end.ts';
import { fromBase64url, integrityError, toBase64url } from './jwe.ts';
import type { KeyProvider, WrapContext } from './key-provider.ts';

/**
 * The master keys in a service of their own, asked over HTTP: docs/keys.md lays down the requests and answers. No master key is ever in
 * this process; data keys are, for they are unwrapped once and kept in memory.
 */

export type KmsWorld = {
  /** The base address; `/key`, `/wrap` and `/unwrap` are below it. */
  url: string;
  send: Door;
  /** Read anew for each request, so that it can be replaced at any time. */
  credential(): Promise<Secret>;
  log: Pick<Log, 'warn'>;
  /** Milliseconds of a clock that never goes back; the system's when absent. */
  elapsedMs?: () => number;
  /** Whose it is, and what says how to reach it, for messages; the one of GRANTRY_KMS_URL when absent. */
  about?: KmsAbout;
};

export type KmsAbout = { project: string | undefined; tokenFile: string; allowPrivateHost: string };

const usualAbout: KmsAbout = { project: undefined, tokenFile: 'GRANTRY_KMS_TOKEN_FILE', allowPrivateHost: 'GRANTRY_KMS_ALLOW_PRIVATE_HOST' };

const keyId = z.string().regex(/^[!-~]{1,512}$/);
const answers = {
  key: z.object({ key: keyId }),
  wrap: z.object({ key: keyId, wrapped: z.string().regex(/^[!-~]{1,8192}$/) }),
  unwrap: z.object({ plaintext: z.string().max(512) }),
};
const refusal = z.object({ error: z.literal('wrong_key') });

/** What it wraps is kept as `kms:<its key's id, base64url>.<its text>`. */
const mark = 'kms:';
const retryAfterS = 5;

type Wrapped = { key: string; wrapped: string };

function parseWrapped(text: string): Wrapped {
  const dot = text.indexOf('.');
  if (!text.startsWith(mark) || dot < 0) throw integrityError('A stored key was not wrapped by a key service.');
  return { key: fromBase64url(text.slice(mark.length, dot)).toString('utf8'), wrapped: text.slice(dot + 1) };
}

function jsonOf({ body }: DoorResponse): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

export function createKms({ url, send, credential, log, elapsedMs = () => performance.now(), about = usualAbout }: KmsWorld): KeyProvider {
  const base = withoutEnd(url, '/');
  const { host } = new URL(url);
  const isNews = createSeldom(elapsedMs);
  const { project, tokenFile, allowPrivateHost } = about;
  const owner = project === undefined ? '' : ` of the project ${project}`;
  const subject = `The key service${owner} at ${host}`;

  /** Nothing that it says is repeated. */
  function away(what: string, cause?: unknown): GrantryError {
    // Whoever answers each time with another status is no news each time.
    if (isNews(what.replace(/\d+/g, '')))
      log.warn(
        { host, ...(project !== undefined && { project }), what, ...(cause instanceof GrantryError && { code: cause.code }) },
        'the key service could not be used',
      );
    return new GrantryError('unavailable', { detail: `${subject} ${what}.`, retryAfterS, ...(cause !== undefined && { cause }) });
  }

  async function exchange(path: string, body: unknown): Promise<DoorResponse> {
    const bearer = await credential();
    const headers = { accept: 'application/json', authorization: `Bearer ${bearer.reveal()}` };
    try {
      if (body === undefined) return await send({ method: 'GET', url: `${base}/${path}`, headers });
      return await send({
        method: 'POST',
        url: `${base}/${path}`,
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    } catch (error) {
      if (isGrantryError(error, 'address_refused')) throw away(`is at a private address, which ${allowPrivateHost} does not allow`, error);
      throw away('does not answer', error);
    }
  }

  async function ask<Answer>(path: string, answer: z.ZodType<Answer>, body?: unknown): Promise<Answer> {
    const response = await exchange(path, body);
    const { status } = response;
    if (status === 401 || status === 403) throw away(`refuses our credential, or what it is for (${status}): see ${tokenFile}`);
    const json = jsonOf(response);
    if (status === 400 && refusal.safeParse(json).success)
      throw integrityError(`${subject} says that a stored key was not wrapped by it, or was altered.`);
    if (status !== 200) throw away(`answers with ${status}`);
    const parsed = answer.safeParse(json);
    if (!parsed.success) throw away('gives an answer that cannot be used');
    return parsed.data;
  }

  return {
    name: `the key service${owner} at ${host}`,
    kind: 'kms',
    current: async () => (await ask('key', answers.key)).key,
    async wrap(context: WrapContext, secret) {
      const { key, wrapped } = await ask('wrap', answers.wrap, { context, plaintext: toBase64url(secret) });
      return `${mark}${toBase64url(key)}.${wrapped}`;
    },
    async unwrap(context, text) {
      const { plaintext } = await ask('unwrap', answers.unwrap, { context, ...parseWrapped(text) });
      return fromBase64url(plaintext);
    },
    isOwn: (text) => text.startsWith(mark),
    keyOf: (text) => parseWrapped(text).key,
  };
}
