import { GrantryError } from './errors.ts';

const unitsS = [86_400, 3_600, 60, 1] as const;

/**
 * Whole seconds in an ISO 8601 duration of days, hours, minutes and seconds (`P30D`, `PT1H`), as the definition's schema lets it pass.
 * Throws `invalid_definition` for anything else.
 */
export function durationS(duration: string): number {
  const match = /^P(?=\d|T\d)(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/.exec(duration);
  if (match === null)
    throw new GrantryError('invalid_definition', { detail: 'That is not an ISO 8601 duration of days, hours, minutes and seconds.' });
  return unitsS.reduce((sum, unitS, index) => sum + unitS * Number(match[index + 1] ?? 0), 0);
}
