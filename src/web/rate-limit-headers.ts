import type { Limited, Standing } from '../broker/limits.ts';

/** What the two are, for /openapi.json. */
export const rateLimitSchemas = {
  'RateLimit-Policy': { description: 'What is allowed: `"calls";q=6000;w=60` are 6,000 calls in 60 seconds.', schema: { type: 'string' } },
  RateLimit: { description: 'What is left of it: `"calls";r=5990;t=42` are 5,990 calls in the next 42 seconds.', schema: { type: 'string' } },
} as const;

/** How a caller stands with a limit, for it to slow down by itself (draft-ietf-httpapi-ratelimit-headers-11). */
export const rateLimitHeaders = (what: Limited, { allowance, windowS, left, resetS }: Standing) => ({
  'RateLimit-Policy': `"${what}";q=${allowance};w=${windowS}`,
  RateLimit: `"${what}";r=${left};t=${resetS}`,
});
