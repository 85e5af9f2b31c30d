import type { z } from 'zod';
import type { Caller } from '../../broker/caller.ts';
import type { Subject } from '../../broker/key-limits.ts';
import type { KeyLimits } from '../../broker/records.ts';
import type { World } from '../../broker/world.ts';

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

export type Endpoint<Query = unknown, Body = unknown> = Common<Query, Body> &
  ({ scope: 'connect' | 'tokens'; reach: Reach<Query, Body> } | { scope: 'any' | 'admin' | 'root'; reach?: never });

type Common<Query, Body> = {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
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
  status: 200 | 201 | 204;
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
