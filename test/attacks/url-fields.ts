import type { z } from 'zod';
import { url } from '../../src/protocol/definition/fields.ts';

/** A field of a definition that holds a URL: its path, with `*` for a name that anybody chooses, and the grant whose methods have it. */
export type UrlField = { path: string[]; grant?: string };

type Schema = z.core.$ZodType;
type Step = { schema: Schema; path: string[]; grant?: string };

const text = (value: unknown) => (typeof value === 'string' ? value : undefined);

/** What a schema is made of, one step further in. */
function inside({ schema, path, grant }: Step): Step[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const kept = grant === undefined ? {} : { grant };
  switch (def.type) {
    case 'object': {
      const own = def.shape.grant?._zod.def;
      const literal = own !== undefined && 'values' in own && Array.isArray(own.values) ? text(own.values[0]) : undefined;
      const named = literal === undefined ? kept : { grant: literal };
      return Object.entries(def.shape).map(([name, inner]) => ({ schema: inner, path: [...path, name], ...named }));
    }
    case 'record':
      return [{ schema: def.valueType, path: [...path, '*'], ...kept }];
    case 'array':
      return [{ schema: def.element, path: [...path, '*'], ...kept }];
    case 'union':
      return def.options.map((option) => ({ schema: option, path, ...kept }));
    case 'pipe':
      return [{ schema: def.in, path, ...kept }];
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return [{ schema: def.innerType, path, ...kept }];
    default:
      return [];
  }
}

const reach = (step: Step, found: (step: Step) => boolean): Step[] => (found(step) ? [step] : inside(step).flatMap((next) => reach(next, found)));
const unique = (steps: Step[]): UrlField[] => [...new Map(steps.map(({ schema: _, ...field }) => [JSON.stringify(field), field])).values()];

/** Every field whose schema is that of a URL. */
export const urlFields = (schema: Schema): UrlField[] => unique(reach({ schema, path: [] }, (step) => step.schema === url));

/** Every text whose name says that it is an address. */
export const namedLikeUrls = (schema: Schema): UrlField[] =>
  unique(
    reach({ schema, path: [] }, ({ schema: inner }) => (inner as z.core.$ZodTypes)._zod.def.type === 'string').filter(({ path }) =>
      /(^|_)(endpoint|ur[il]|issuer|host|origin|domain)$/.test(path.at(-1) ?? ''),
    ),
  );
