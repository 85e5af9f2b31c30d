import { createHash, randomBytes } from 'node:crypto';
import type { SandboxAs } from '../../src/sandbox/authorization-server.ts';
import { type Browser, createBrowser, type Page } from '../../src/sandbox/browser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';

/** A broker that is not there: only its callback's address is known to the providers. */
export const publicUrl = 'http://localhost:39999';
export const callback = `${publicUrl}/oauth/callback`;

export const startWorld = (): Promise<Sandbox> => startSandbox({ publicUrl });

export const browser = () => createBrowser({ stopBefore: publicUrl });

/** The parameters of the redirect to the callback at which the browser stopped. */
export function callbackOf(page: Page): URLSearchParams {
  if (page.location === undefined) throw new Error(`No redirect: ${page.status} ${page.title}`);
  return new URL(page.location).searchParams;
}

/** RFC 6749 section 2.3.1: both parts form-encoded before they are joined. */
export function basic(id: string, secret: string): string {
  const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}

export async function post(url: string, form: Record<string, string>, headers: Record<string, string> = {}) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form), headers, redirect: 'manual' });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: (): Record<string, unknown> => JSON.parse(text) };
}

export const getMe = (as: SandboxAs, token: unknown) => fetch(`${as.url}/api/me`, { headers: { authorization: `Bearer ${token}` } });

/** The code flow up to the callback, with the verifier that belongs to it. */
export async function authorize(
  as: SandboxAs,
  { user = 'alice', button = 'Approve', scope = 'read offline_access', client = as.client.client_id, tab = browser() } = {},
) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: client,
    response_type: 'code',
    redirect_uri: callback,
    scope,
    state: 'state-1',
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const consent = await tab.open(`${as.url}/auth?${query}`);
  return { verifier, consent, back: callbackOf(await consent.submit({ user }, button)) };
}

export async function tokens(as: SandboxAs, options: { user?: string; scope?: string; tab?: Browser } = {}): Promise<Record<string, unknown>> {
  const { verifier, back } = await authorize(as, options);
  const answer = await post(
    `${as.url}/token`,
    { grant_type: 'authorization_code', code: back.get('code') ?? '', redirect_uri: callback, code_verifier: verifier },
    { authorization: basic(as.client.client_id, as.client.client_secret) },
  );
  return answer.json();
}

export const refresh = (as: SandboxAs, refreshToken: unknown) =>
  post(
    `${as.url}/token`,
    { grant_type: 'refresh_token', refresh_token: String(refreshToken) },
    { authorization: basic(as.client.client_id, as.client.client_secret) },
  );
