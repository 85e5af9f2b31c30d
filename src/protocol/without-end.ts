/**
 * The text without what its end repeats of one character. A regular expression would look for the end anew from each of them, and so take a time that
 * grows with the square of their number.
 */
export function withoutEnd(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end -= 1;
  return text.slice(0, end);
}
