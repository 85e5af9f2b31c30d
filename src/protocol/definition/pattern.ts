import { withoutEnd } from '../without-end.ts';

/**
 * The patterns of inputs: a subset of regular expressions that is matched in time proportional to the text, because
 * nothing in it can backtrack: literals, escapes, character classes, `.`, and quantifiers. No groups, alternation,
 * backreferences or lookaround. A pattern speaks of the whole value; `^` and `$` may say so.
 */

type Atom = { fits: RegExp; min: number; max: number };

const maxRepeat = 2_000;
const maxUnbounded = 2;
const maxLength = 2_000;

const classAt = /^\[\^?(?:[^\][\\]|\\[dws\][\\^$.*+?(){}|/-])+\]/;
const escapeAt = /^\\[dDwWsS\][\\^$.*+?(){}|/]/;
const literalAt = /^[^\][\\^$*+?(){}|]/u;
const quantifierAt = /^(?:[*+?]|\{(\d{1,4})(,(\d{1,4})?)?\})/;

function repeat(quantifier: RegExpExecArray | null): { min: number; max: number } {
  if (quantifier === null) return { min: 1, max: 1 };
  const [sign, low, range, high] = quantifier;
  if (low === undefined) return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Number.POSITIVE_INFINITY };
  const min = Number(low);
  if (range === undefined) return { min, max: min };
  return { min, max: high === undefined ? Number.POSITIVE_INFINITY : Number(high) };
}

function atomAt(rest: string): string | undefined {
  return (classAt.exec(rest) ?? escapeAt.exec(rest) ?? literalAt.exec(rest))?.[0];
}

function compile(source: string): RegExp | undefined {
  try {
    return new RegExp(`^${source}$`, 'u');
  } catch {
    return undefined;
  }
}

/** Without `^` and `$` at its ends; a `$` behind a backslash is itself, unless that is one behind a backslash. */
function withoutAnchors(pattern: string): string {
  const begun = pattern.startsWith('^') ? pattern.slice(1) : pattern;
  if (!begun.endsWith('$')) return begun;
  const ended = begun.slice(0, -1);
  const isEscaped = (ended.length - withoutEnd(ended, '\\').length) % 2 === 1;
  return isEscaped ? begun : ended;
}

/** The atoms of a pattern, or the sentence that says why it is not one. */
function parse(pattern: string): readonly Atom[] | string {
  const atoms: Atom[] = [];
  let rest = withoutAnchors(pattern);
  while (rest !== '') {
    const source = atomAt(rest);
    if (source === undefined)
      return `${JSON.stringify([...rest][0])} is not allowed in a pattern at this place; no groups, alternatives or references.`;
    const fits = compile(source);
    if (fits === undefined) return `${source} is not a character class.`;
    rest = rest.slice(source.length);
    const quantifier = quantifierAt.exec(rest);
    rest = rest.slice(quantifier?.[0].length ?? 0);
    const { min, max } = repeat(quantifier);
    if (min > max || min > maxRepeat || (max > maxRepeat && max !== Number.POSITIVE_INFINITY))
      return `${quantifier?.[0]} is not a range of at most ${maxRepeat}.`;
    atoms.push({ fits, min, max });
  }
  if (atoms.length === 0) return 'The pattern is empty.';
  if (atoms.filter(({ max }) => max === Number.POSITIVE_INFINITY).length > maxUnbounded)
    return `At most ${maxUnbounded} parts of a pattern may repeat without end.`;
  return atoms;
}

/** Where the text can stand after the atom, when it could stand at `from` before. */
function advance(from: Uint8Array, { fits, min, max }: Atom, characters: readonly string[]): Uint8Array {
  const to = new Uint8Array(from.length);
  // open[i]: how many of the first i places could be stood at.
  const open = new Uint32Array(from.length + 1);
  from.forEach((reached, i) => {
    open[i + 1] = (open[i] ?? 0) + reached;
  });
  let runStart = 0;
  for (let end = 0; end < from.length; end += 1) {
    if (end > 0 && !fits.test(characters[end - 1] ?? '')) runStart = end;
    const first = Math.max(runStart, end - max);
    const last = end - min;
    if (first <= last && (open[last + 1] ?? 0) > (open[first] ?? 0)) to[end] = 1;
  }
  return to;
}

/** Why this is not a pattern of the subset, or undefined when it is one. */
export function patternFault(pattern: string): string | undefined {
  const parsed = parse(pattern);
  return typeof parsed === 'string' ? parsed : undefined;
}

/** True when the whole value (of at most 2000 characters) matches. A pattern outside the subset matches nothing. */
export function matchesPattern(pattern: string, value: string): boolean {
  const atoms = parse(pattern);
  if (typeof atoms === 'string' || value.length > maxLength) return false;
  const characters = [...value];
  const start = new Uint8Array(characters.length + 1);
  start[0] = 1;
  const end = atoms.reduce<Uint8Array>((from, atom) => advance(from, atom, characters), start);
  return end.at(-1) === 1;
}
