import type { Definition } from '../protocol/definition/schema.ts';

/** Finding a provider by what people type: its id, name, aliases and categories. Everything is in memory. */

/** Letters and digits only, in lower case and without accents: `Battle.net`, `battle net` and `battle-net` are the same. */
const plain = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();

type Texts = { names: string[]; aliases: string[]; categories: string[] };
const known = new WeakMap<Definition, Texts>();

function textsOf(definition: Definition): Texts {
  const there = known.get(definition);
  if (there !== undefined) return there;
  const texts = {
    names: [...new Set([plain(definition.id), plain(definition.name)])],
    aliases: definition.aliases.map(plain),
    categories: definition.categories.map(plain),
  };
  known.set(definition, texts);
  return texts;
}

/** How well a definition fits what was typed, 0 best; undefined: not at all. */
export function rankOf(definition: Definition, typed: string): number | undefined {
  const wanted = plain(typed);
  if (wanted === '') return undefined;
  const { names, aliases, categories } = textsOf(definition);
  const isOne = (text: string) => text === wanted;
  const begins = (text: string) => text.startsWith(wanted);
  const aWordBegins = (text: string) => ` ${text}`.includes(` ${wanted}`);
  const holds = (text: string) => text.includes(wanted);
  const tests = [
    names.some(isOne),
    aliases.some(isOne),
    names.some(begins),
    names.some(aWordBegins) || aliases.some(begins),
    names.some(holds),
    aliases.some(holds),
    categories.some(isOne),
    categories.some(holds),
  ];
  const rank = tests.indexOf(true);
  return rank === -1 ? undefined : rank;
}
