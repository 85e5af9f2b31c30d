/**
 * A regular expression as a backtracking engine runs it, with its steps counted: how much work an input makes is then a number, the same on every
 * machine. It knows what our sources use, and throws for anything else.
 */

type Matcher = (at: number, next: (at: number) => boolean) => boolean;
type Run = { text: readonly string[]; steps: number };

/** More are a fault whatever the input is. */
const mostSteps = 1_000_000;

class Reader {
  at = 0;
  readonly #characters: string[];
  constructor(source: string) {
    this.#characters = [...source];
  }
  get rest(): string {
    return this.#characters.slice(this.at).join('');
  }
  take(pattern: RegExp): RegExpExecArray | null {
    const found = pattern.exec(this.rest);
    if (found !== null) this.at += [...found[0]].length;
    return found;
  }
}

/** Compiles a source to a function that counts its steps in `run`. */
function compile(source: string, flags: string, run: Run): Matcher {
  const reader = new Reader(source);
  const single = (atom: string): Matcher => {
    const fits = new RegExp(`^${atom}$`, flags.replace(/[gym]/g, ''));
    const known = new Map<string, boolean>();
    const takes = (character: string) => known.get(character) ?? known.set(character, fits.test(character)).get(character) === true;
    return (at, next) => {
      run.steps += 1;
      if (run.steps > mostSteps) throw new RangeError('too many steps');
      const character = run.text[at];
      return character !== undefined && takes(character) && next(at + 1);
    };
  };

  function alternatives(): Matcher {
    const all = [sequence()];
    while (reader.take(/^\|/) !== null) all.push(sequence());
    const [only] = all;
    return only !== undefined && all.length === 1 ? only : (at, next) => all.some((each) => each(at, next));
  }

  function sequence(): Matcher {
    const parts: Matcher[] = [];
    while (reader.rest !== '' && !/^[|)]/.test(reader.rest)) parts.push(quantified(term()));
    return parts.reduceRight<Matcher>(
      (after, part) => (at, next) => part(at, (then) => after(then, next)),
      (at, next) => next(at),
    );
  }

  function term(): Matcher {
    if (reader.take(/^\^/) !== null) return (at, next) => (at === 0 || (flags.includes('m') && run.text[at - 1] === '\n')) && next(at);
    if (reader.take(/^\$/) !== null) return (at, next) => (at === run.text.length || (flags.includes('m') && run.text[at] === '\n')) && next(at);
    const edge = reader.take(/^\\(b|B)/);
    if (edge !== null) {
      const isWord = (at: number) => /^\w$/.test(run.text[at] ?? '');
      return (at, next) => (isWord(at) !== isWord(at - 1)) === (edge[1] === 'b') && next(at);
    }
    const group = reader.take(/^\((?:\?(:|=|!|<=|<!|<[A-Za-z_]\w*>))?/);
    if (group === null) {
      const atom = reader.take(
        /^(?:\[(?:[^\]\\]|\\.)*\]|\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{\w+\}|[^1-9])|[^*+?{}()|\\])/su,
      );
      if (atom === null) throw new Error(`This part of a regular expression is not known: ${reader.rest}`);
      return single(atom[0]);
    }
    const before = reader.rest;
    const inner = alternatives();
    const written = before.slice(0, before.length - reader.rest.length);
    if (reader.take(/^\)/) === null) throw new Error(`A group does not end: ${source}`);
    const kind = group[1];
    if (kind === '=' || kind === '!') return (at, next) => inner(at, () => true) === (kind === '=') && next(at);
    if (kind !== '<=' && kind !== '<!') return inner;
    // What is one character wide is looked for at one place.
    const isSingle = /^(?:\[(?:[^\]\\]|\\.)*\]|\\?[^[\\])$/su.test(written);
    const starts = (at: number) => (isSingle ? [at - 1] : Array.from({ length: at + 1 }, (_, back) => at - back));
    const endsHere = (at: number) => starts(at).some((from) => inner(from, (end) => end === at));
    return (at, next) => endsHere(at) === (kind === '<=') && next(at);
  }

  function quantified(of: Matcher): Matcher {
    const found = reader.take(/^(?:([*+?])|\{(\d+)(,(\d*))?\})(\?)?/);
    if (found === null) return of;
    const [, sign, low, range, high, lazy] = found;
    const min = sign === undefined ? Number(low) : sign === '+' ? 1 : 0;
    const bounded = sign === '?' ? 1 : sign !== undefined || (range !== undefined && high === '') ? Number.POSITIVE_INFINITY : Number(high ?? low);
    const repeat = (count: number, at: number, next: (at: number) => boolean): boolean => {
      const more = () => count < bounded && of(at, (then) => (then > at || count < min) && repeat(count + 1, then, next));
      const enough = () => count >= min && next(at);
      return lazy === undefined ? more() || enough() : enough() || more();
    };
    return (at, next) => repeat(0, at, next);
  }

  const whole = alternatives();
  if (reader.rest !== '') throw new Error(`This part of a regular expression is not known: ${reader.rest}`);
  return whole;
}

/** How many steps it takes to look for a match in the text, from each place in turn; infinite beyond a million. */
export function stepCounter({ source, flags }: { source: string; flags: string }): (text: string) => number {
  const run: Run = { text: [], steps: 0 };
  const matcher = compile(source, flags, run);
  return (text) => {
    run.text = [...text];
    run.steps = 0;
    try {
      for (let from = 0; from <= run.text.length; from += 1) {
        run.steps += 1;
        if (matcher(from, () => true)) break;
      }
    } catch (error) {
      if (error instanceof RangeError) return Number.POSITIVE_INFINITY;
      throw error;
    }
    return run.steps;
  };
}

/** Characters that the expression speaks of, and some that are in nearly every class. */
function alphabetOf(source: string): string[] {
  const spoken = [...source.replace(/\\[dDwWsSbBpPux](?:\{\w+\}|[0-9a-fA-F]{2,4})?/g, '')].filter((character) => !/[\^$*+?()|{}]/.test(character));
  return [...new Set(['a', '0', ' ', ...spoken])].slice(0, 10);
}

/** Without one, the work is bounded by what is written in the expression. */
export const repeatsWithoutEnd = (source: string): boolean => /(?<!\\)(?:\\\\)*[*+]|\{\d+,\}/.test(source.replace(/\[(?:[^\]\\]|\\.)*\]/g, '[]'));

/**
 * The worst growth that was found when the repeated part of an input is doubled: 2 for work in proportion to the input, 4 for its square; with the
 * input that showed it.
 */
export function worstGrowth(expression: { source: string; flags: string }): { ratio: number; input: string } {
  const steps = stepCounter(expression);
  const alphabet = alphabetOf(expression.source);
  const few = alphabet.slice(0, 6);
  const pairs = few.flatMap((one) => few.map((other) => ({ before: '', pump: one + other })));
  const singles = alphabet.flatMap((pump) => ['', ...few].map((before) => ({ before, pump })));
  let worst = { ratio: 0, input: '' };
  for (const { before, pump } of [...singles, ...pairs]) {
    const [once = 0, twice = 0] = [130, 260].map((length) => steps(`${before}${pump.repeat(length / pump.length)}\u0000`));
    const ratio = twice === Number.POSITIVE_INFINITY ? twice : twice / Math.max(once, 130);
    if (ratio > worst.ratio) worst = { ratio, input: JSON.stringify(before + pump) };
  }
  return worst;
}
