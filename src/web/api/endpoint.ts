import type { z } from 'zod';
import type { Caller } from '../../broker/api-keys.ts';
import type { KeyScope } from '../../broker/records.ts';
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

export type Endpoint<Query = unknown, Body = unknown> = {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Express path below the root, `/v1/...`. */
  path: `/v1/${string}`;
  scope: KeyScope | 'any' | 'root';
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
