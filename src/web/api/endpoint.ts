import type { z } from 'zod';
import type { AuditDetails } from '../../broker/audit.ts';
import type { Caller } from '../../broker/caller.ts';
import type { Subject } from '../../broker/key-limits.ts';
import type { KeyLimits } from '../../broker/records.ts';
import type { World } from '../../broker/world.ts';
import type { AuditAction } from '../../protocol/audit-actions.ts';
import type { ErrorCode } from '../../protocol/errors.ts';

/** One call of the REST API: what the router runs and what /openapi.json says come from the same object. */

export type Call<Query, Body> = {
  world: World;
  caller: Caller;
  project: string;
  /** Path parameters. */
  params: Record<string, string>;
  query: Query;
  body: Body;
};

export type Answer = { status: number; body?: unknown };

/** How a key that is limited to an integration or an end user is kept to it. Keys with the scope `admin` never are. */
export type Reach<Query, Body> =
  /** Whose the named thing is; undefined when there is none. Beyond its reach it is not there. */
  | { kind: 'named'; of(call: Call<Query, Body>): Promise<Subject | undefined> }
  /** For whom something is to be made. Beyond its reach it is forbidden. */
  | { kind: 'made'; of(call: Call<Query, Body>): Subject }
  /** The query with nothing beyond its reach in the answer; undefined when that leaves nothing. */
  | { kind: 'listed'; narrow(query: Query, reach: Pick<KeyLimits, 'integration' | 'end_user'>): Query | undefined };

/** What the audit log is told of a call: see docs/audit.md. Each action is in src/protocol/audit-actions.ts, and stands in those docs. */
export type Audited<Query = unknown, Body = unknown> = {
  action: AuditAction;
  /** Whom it concerns, if not the caller's project (and the whole installation, where the root key is needed). */
  project?(call: Call<Query, Body>): string;
  /** A few words more, chosen one by one: never a secret, and nothing of an end user. A PATCH tells the names of its fields anyway. */
  details?(call: Call<Query, Body>, answer: Record<string, unknown>): AuditDetails;
  /** Refusals that are told too; others change nothing. */
  refusals?: readonly ErrorCode[];
  /** Of a call that hands out a token: counted by the minute. */
  counted?: true;
};

/** A call that is no GET says what the audit log is told of it. */
type Recorded<Query, Body> =
  | { method: 'get'; audit?: Audited<Query, Body> }
  | { method: 'post' | 'put' | 'patch' | 'delete'; audit: Audited<Query, Body> };

export type Endpoint<Query = unknown, Body = unknown> = Common<Query, Body> &
  Recorded<Query, Body> &
  ({ scope: 'connect' | 'tokens'; reach: Reach<Query, Body> } | { scope: 'any' | 'admin' | 'root'; reach?: never });

type Common<Query, Body> = {
  /** Express path below the root, `/v1/...`. */
  path: `/v1/${string}`;
  summary: string;
  description?: string;
  tag: string;
  query?: z.ZodType<Query>;
  body?: z.ZodType<Body>;
  /** `definition`: the body is a provider definition, JSON or YAML, handed on as text. */
  bodyFormat?: 'json' | 'definition';
  /** Shape of the success answer; absent for 204. */
  answer?: z.ZodType;
  /** Status of the success answer. */
  status: 200 | 201 | 202 | 204;
  /** `false`: calls of it are never counted, so no answer says how many are left. */
  limited?: false;
  /** The codes that this call may answer with besides the general ones. */
  errors?: readonly string[];
  handle(call: Call<Query, Body>): Promise<Answer['body'] | undefined>;
  /** The answer as YAML, for who asks for it with Accept. */
  yaml?(call: Call<Query, Body>): Promise<string>;
};

/** Keeps the types of query and body together with their handler. */
export function endpoint<Query = Record<string, never>, Body = undefined>(definition: Endpoint<Query, Body>): Endpoint {
  return definition as unknown as Endpoint;
}
