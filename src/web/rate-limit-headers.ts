import type { Limited, Standing } from '../broker/limits.ts';

/** How a caller stands with a limit, for it to slow down by itself (draft-ietf-httpapi-ratelimit-headers-11). */
export const rateLimitHeaders = (what: Limited, { allowance, windowS, left, resetS }: Standing) => ({
  'RateLimit-Policy': `"${what}";q=${allowance};w=${windowS}`,
  RateLimit: `"${what}";r=${left};t=${resetS}`,
});
