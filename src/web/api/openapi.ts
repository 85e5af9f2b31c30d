import { z } from 'zod';
import { rateLimitSchemas } from '../rate-limit-headers.ts';
import type { Endpoint } from './endpoint.ts';
import { endpoints } from './router.ts';
import { problem } from './schemas.ts';

/** /openapi.json: OpenAPI 3.1, made from the schemas that parse the requests and shape the answers. */

type JsonSchema = Record<string, unknown>;

const components: Record<string, JsonSchema> = {};

/** A schema as JSON Schema; those with an id go to the components and are referred to. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const {
    $schema: _,
    $defs,
    ...rest
  } = z.toJSONSchema(schema, { io, target: 'draft-2020-12', unrepresentable: 'any' }) as JsonSchema & { $defs?: Record<string, JsonSchema> };
  const moved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(moved);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        key === '$ref' && typeof inner === 'string' ? inner.replace('#/$defs/', '#/components/schemas/') : moved(inner),
      ]),
    );
  };
  for (const [name, definition] of Object.entries($defs ?? {})) components[name] = moved(definition) as JsonSchema;
  const id = schema.meta()?.id;
  if (id === undefined) return moved(rest) as JsonSchema;
  // A schema that stands among the definitions already is only referred to.
  if (rest.$ref === undefined) components[id] = moved(rest) as JsonSchema;
  return { $ref: `#/components/schemas/${id}` };
}

const parametersIn = (path: string) =>
  [...path.matchAll(/:([a-z_]+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));

function queryParameters(endpoint: Endpoint): unknown[] {
  if (endpoint.query === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(endpoint.query, 'input') as { properties?: Record<string, JsonSchema>; required?: string[] };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }));
}

const retryAfter = {
  'Retry-After': { description: 'Whole seconds after which it makes sense to try again.', schema: { type: 'integer', minimum: 0 } },
};

/** What is counted: all that does not say otherwise, but for what the root key alone may do: that key has been looked at without a count. */
const countedHeaders = ({ limited, scope }: Endpoint) => (scope === 'root' || limited === false ? {} : rateLimitSchemas);

function operation(endpoint: Endpoint): JsonSchema {
  const counted = countedHeaders(endpoint);
  const problemAnswer = (description: string, headers: object) => ({
    description,
    headers,
    content: { 'application/problem+json': { schema: jsonSchema(problem, 'output') } },
  });
  const codes = ['invalid_request', 'unauthorized', 'forbidden', ...(endpoint.path.includes(':') ? ['not_found'] : []), ...(endpoint.errors ?? [])];
  return {
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.description !== undefined && { description: endpoint.description }),
    operationId: `${endpoint.method}${endpoint.path.replace('/v1', '').replace(/[/:_-]+([a-z])?/g, (_, letter: string | undefined) => (letter ?? '').toUpperCase())}`,
    'x-scope': endpoint.scope,
    parameters: [
      ...parametersIn(endpoint.path),
      ...queryParameters(endpoint),
      ...(endpoint.method === 'post' ? [{ name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', maxLength: 255 } }] : []),
    ],
    ...(endpoint.body !== undefined && {
      requestBody: {
        required: true,
        content:
          endpoint.bodyFormat === 'definition'
            ? {
                'application/json': { schema: { type: 'object', description: 'A provider definition; see providers/schema.json.' } },
                'application/yaml': { schema: { type: 'string' } },
              }
            : { 'application/json': { schema: jsonSchema(endpoint.body, 'input') } },
      },
    }),
    responses: {
      [endpoint.status]:
        endpoint.answer === undefined
          ? { description: 'Done.', headers: counted }
          : {
              description: endpoint.summary,
              headers: counted,
              content: {
                'application/json': { schema: jsonSchema(endpoint.answer, 'output') },
                ...(endpoint.yaml && { 'application/yaml': { schema: { type: 'string', description: 'As PUT takes it.' } } }),
              },
            },
      429: problemAnswer('Too much in too short a time: too many calls of this key, or wrong keys from this address; code is rate_limited.', {
        ...counted,
        ...retryAfter,
      }),
      default: problemAnswer(`A problem; code is one of ${codes.join(', ')}.`, { ...counted, ...retryAfter }),
    },
  };
}

/** The whole document; made once, on first use. */
export function openApiDocument(publicUrl: string): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:([a-z_]+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operation(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Grantry',
      version: '1',
      description: 'An OAuth broker: connect links, every kind of exchange, sealed tokens, always fresh.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: publicUrl }],
    security: [{ apiKey: [] }],
    paths,
    components: { schemas: components, securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, or the root key.' } } },
  };
}
