import { GrantryError } from './errors.ts';

const unitsS = [86_400, 3_600, 60, 1] as const;
const pattern = /^P(?=\d|T\d)(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/;

/** True for what `durationS` understands. */
export const isDuration = (text: string): boolean => pattern.test(text);

/**
 * Whole seconds in an ISO 8601 duration of days, hours, minutes and seconds (`P30D`, `PT1H`), as the definition's schema lets it pass.
 * Throws `invalid_definition` for anything else.
 */
export function durationS(duration: string): number {
  const match = pattern.exec(duration);
  if (match === null)
    throw new GrantryError('invalid_definition', { detail: 'That is not an ISO 8601 duration of days, hours, minutes and seconds.' });
  return unitsS.reduce((sum, unitS, index) => sum + unitS * Number(match[index + 1] ?? 0), 0);
}

/** The shortest such duration of so many whole seconds: 604800 is `P7D`. */
export function durationText(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = [
    [Math.floor(seconds / 3_600) % 24, 'H'],
    [Math.floor(seconds / 60) % 60, 'M'],
    [seconds % 60, 'S'],
  ] as const;
  const time = rest.flatMap(([count, unit]) => (count === 0 ? [] : [`${count}${unit}`])).join('');
  if (days === 0 && time === '') return 'PT0S';
  return `P${days === 0 ? '' : `${days}D`}${time === '' ? '' : `T${time}`}`;
}
