/** The client for callers of Grantry: the REST API with its errors as errors. It needs nothing but `fetch`. */

export type GrantryClientOptions = {
  /** The broker's address, such as https://connect.example.com. */
  baseUrl: string;
  apiKey: string;
  /** With the root key: the project that is meant. */
  project?: string;
};

/** A problem+json answer (RFC 9457); `code` is stable. */
export class GrantryProblem extends Error {
  override readonly name = 'GrantryProblem';
  readonly status: number;
  readonly code: string;
  /** Seconds after which a retry makes sense. */
  readonly retryAfterS: number | undefined;
  readonly problem: Readonly<Record<string, unknown>>;
  /** What was called: `/v1/...`. */
  readonly path: string;

  constructor(status: number, problem: Readonly<Record<string, unknown>>, retryAfterS: number | undefined, path = '') {
    super(String(problem.detail ?? problem.title ?? `HTTP ${status}`));
    this.status = status;
    this.code = String(problem.code ?? 'unknown');
    this.retryAfterS = retryAfterS;
    this.problem = problem;
    this.path = path;
  }
}

/** Nobody answered, or the connection broke before the answer was complete; whether the call had an effect is not known. */
export class BrokerUnreachable extends Error {
  override readonly name = 'BrokerUnreachable';

  constructor(url: string, cause: unknown) {
    super(`Nothing answers at ${url}.`, { cause });
  }
}

/** What answered is not Grantry: no JSON where Grantry answers with JSON, or such that is broken. The address is most likely another server's. */
export class UnreadableAnswer extends Error {
  override readonly name = 'UnreadableAnswer';

  constructor(url: string) {
    super(`What answers at ${url} is not Grantry.`);
  }
}

export type CallOptions = {
  body?: unknown;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Makes a repeated POST have one effect. */
  idempotencyKey?: string;
  contentType?: string;
  /** What the answer should be written in; one that is not JSON comes as text. */
  accept?: string;
  /** Milliseconds after which nobody is waited for any more; without, those of `fetch`: five minutes. */
  timeoutMs?: number;
};

export type GrantryClient = {
  /**
   * Any call of the API; the parsed answer, undefined for 204. Throws GrantryProblem (with the code `unknown` where the words are not Grantry's, and
   * for a redirect, which is not followed), BrokerUnreachable, UnreadableAnswer, and TypeError for a key or a project that no header can hold.
   */
  call<T = unknown>(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, options?: CallOptions): Promise<T>;
  createConnectLink(link: {
    integration: string;
    end_user: { id: string; [field: string]: unknown };
    [field: string]: unknown;
  }): Promise<{ id: string; url: string; status: string; expires_at: string }>;
  getConnectLink(id: string): Promise<{
    id: string;
    status: string;
    connection_id: string | null;
    /** Scopes that were asked for and not granted. */
    missing_scopes: string[];
    error: { code: string; detail: string } | null;
  }>;
  /** The token of a connection, fresh for at least `minTtlS` seconds. */
  getToken(connectionId: string, wish?: { minTtlS?: number; force?: boolean }): Promise<Token>;
};

export type Token = {
  connection_id: string;
  token_type: string;
  access_token?: string;
  expires_at: string | null;
  scopes: string[];
  missing_scopes: string[];
  extras: Record<string, string>;
  /** Null: each call has to be signed (`POST /v1/connections/{id}/sign`). */
  present: Presentation | null;
};

/** The credential as the provider wants it. In the path, `value` stands between the API's base address and the path of the call. */
export type Presentation = { in: 'header' | 'query'; name: string; value: string } | { in: 'path'; value: string };

/** A call of the provider's API with the credential: `path` begins with a slash and may have a query. */
export function presentedCall(
  present: Presentation,
  { base, path }: { base: string; path: string },
): { url: string; headers: Record<string, string> } {
  switch (present.in) {
    case 'header':
      return { url: base + path, headers: { [present.name]: present.value } };
    case 'query':
      return { url: `${base}${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams({ [present.name]: present.value })}`, headers: {} };
    case 'path':
      return { url: base + present.value + path, headers: {} };
  }
}

/** The answer with its whole body: a connection may break in either. */
async function exchanged(request: Request): Promise<{ response: Response; text: string }> {
  try {
    const response = await fetch(request);
    return { response, text: await response.text() };
  } catch (error) {
    throw new BrokerUnreachable(new URL(request.url).origin, error);
  }
}

/** The media type alone. */
const typeOf = (response: Response): string => (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';

/** undefined: it is none. */
function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function problemOf(response: Response, text: string, path: string): GrantryProblem {
  const answer = typeOf(response).includes('json') ? parsed(text)?.value : undefined;
  const location = response.headers.get('location');
  const told = typeof answer === 'object' && answer !== null ? { ...answer } : {};
  const after = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new GrantryProblem(
    response.status,
    location === null ? told : { ...told, location },
    Number.isFinite(after) ? after : undefined, // what stands in front of a broker may name a date
    path,
  );
}

export function createGrantryClient({ baseUrl, apiKey, project }: GrantryClientOptions): GrantryClient {
  let base = baseUrl;
  while (base.endsWith('/')) base = base.slice(0, -1);
  async function call<T>(
    method: string,
    path: string,
    { body, query, idempotencyKey, contentType, accept, timeoutMs }: CallOptions = {},
  ): Promise<T> {
    const url = new URL(base + path);
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value));
    const request = new Request(url, {
      method,
      redirect: 'manual', // a POST would come there as a GET, and the key where it does not belong
      ...(timeoutMs !== undefined && { signal: AbortSignal.timeout(timeoutMs) }),
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(project !== undefined && { 'grantry-project': project }),
        ...(accept !== undefined && { accept }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(body !== undefined && { 'content-type': contentType ?? 'application/json' }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const { response, text } = await exchanged(request);
    if (!response.ok) throw problemOf(response, text, path);
    if (text === '') return undefined as T;
    if (accept !== undefined && accept === typeOf(response)) return text as T;
    const answer = accept === undefined && typeOf(response) === 'application/json' ? parsed(text)?.value : undefined;
    if (typeof answer !== 'object' || answer === null) throw new UnreadableAnswer(url.origin);
    return answer as T;
  }
  return {
    call,
    createConnectLink: (link) => call('POST', '/v1/connect-links', { body: link }),
    getConnectLink: (id) => call('GET', `/v1/connect-links/${encodeURIComponent(id)}`),
    getToken: (id, { minTtlS, force } = {}) => call('GET', `/v1/connections/${encodeURIComponent(id)}/token`, { query: { min_ttl: minTtlS, force } }),
  };
}
