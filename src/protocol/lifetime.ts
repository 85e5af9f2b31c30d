import type { TokenResponseMap } from './definition/schema.ts';

/** Nobody is believed who promises more than ten years. */
const longestS = 3_650 * 86_400;

const decimal = /^-?\d{1,30}(?:\.\d{1,10})?$/;
const instant = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|z|[+-]\d\d:?\d\d)?$/;

/**
 * Whole seconds that a token lives from `sentAt` on: 0 when its end has passed, ten years at most, null when the answer does not say
 * (absent, null or empty), undefined when what it says makes no sense. Numbers may come as text; an instant without a zone is UTC.
 */
export function readLifetimeS(value: unknown, unit: TokenResponseMap['expires_unit'], sentAt: Date): number | null | undefined {
  if (value === undefined || value === null || value === '') return null;
  const seconds = unit === 'iso' ? secondsUntil(value, sentAt) : secondsOf(value, unit, sentAt);
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.floor(seconds), 0), longestS) : undefined;
}

function secondsOf(value: unknown, unit: Exclude<TokenResponseMap['expires_unit'], 'iso'>, sentAt: Date): number {
  const number = typeof value === 'string' && decimal.test(value.trim()) ? Number(value) : value;
  if (typeof number !== 'number') return Number.NaN;
  switch (unit) {
    case 's':
      return number;
    case 'ms':
      return number / 1_000;
    case 'epoch_s':
      return number - sentAt.getTime() / 1_000;
    case 'epoch_ms':
      return (number - sentAt.getTime()) / 1_000;
  }
}

function secondsUntil(value: unknown, sentAt: Date): number {
  const match = typeof value === 'string' ? instant.exec(value.trim()) : null;
  if (match === null) return Number.NaN;
  return (Date.parse(`${match[1]}T${match[2]}${(match[3] ?? 'Z').toUpperCase()}`) - sentAt.getTime()) / 1_000;
}
