/** Texts, which are left alone, and whole numbers of more than 15 digits. In valid JSON each text has its end; one that had none would go to the end of all, and is looked at once. */
const longNumber = /"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|(?<![\w.+-])-?\d{16,}(?![\w.])/g;

/** JSON in which whole numbers that JavaScript would round come as the text that they were written with. */
export function parseExact(text: string): unknown {
  const parsed: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return parsed;
  return JSON.parse(text.replace(longNumber, (found) => (found.startsWith('"') ? found : `"${found}"`)));
}
