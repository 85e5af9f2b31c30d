/** Upper and lower case, - and _ make no difference to who reads. */
const bare = (word: string): string => word.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Edits (insert, remove, replace, swap of neighbours) from one word to another. */
function distance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? (before[j - 2] ?? 0) + 1 : replaced;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[to.length] ?? 0;
}

/** The word that was probably meant; undefined when none is near. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const meant = bare(word.slice(0, 64));
  const near = words
    .map((each) => ({ each, away: distance(meant, bare(each)) }))
    .filter(({ each, away }) => away <= Math.max(1, Math.floor(bare(each).length / 4)))
    .sort((a, b) => a.away - b.away);
  return near[0]?.each;
}
