import type { Method, TokenResponseMap } from './schema.ts';

/** Where the answer to a refresh has its fields: `response`, with what `refresh.response` says instead. */
export function refreshResponse({ response, refresh }: Extract<Method, { refresh: unknown }>): TokenResponseMap {
  const said = Object.fromEntries(Object.entries(refresh.response).filter(([, pointer]) => pointer !== undefined));
  return { ...response, ...said };
}
