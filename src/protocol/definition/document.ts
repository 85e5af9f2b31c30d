import {
  Composer,
  type CST,
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  stringify,
} from 'yaml';
import type { Fault } from '../errors.ts';
import { invalidDefinition, type Path, pointerOf } from './faults.ts';
import { copyPlain, type Plain } from './plain.ts';

const maxBytes = 64 * 1024;
/** Of collections within each other, the document and the scalar included. */
const maxDepth = 20;
const maxEntries = 1_000;

const refuse = (detail: string) => invalidDefinition([{ pointer: '', detail }]);

/** The syntax tree, left off as soon as it grows too deep or too wide for what comes after, which is recursive and compares keys. */
function syntaxOf(text: string, lines: LineCounter): CST.Token[] {
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    const top = parser.stack.at(-1);
    if (parser.stack.length > maxDepth) throw refuse('The text is nested too deeply.');
    if (top && 'items' in top && top.items.length > maxEntries) throw refuse(`One list or mapping has more than ${maxEntries} entries.`);
    if (tokens.length > maxEntries) throw refuse('The text holds too many parts.');
  }
  tokens.push(...parser.end());
  return tokens;
}

/** What to do about it, by the parser's codes. */
const remedies: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: '. Keep one of them.',
  TAB_AS_INDENT: '. Use spaces.',
  TAG_RESOLVE_FAILED: '. Leave the tag out; a text that begins with ! needs quotes.',
  NON_STRING_KEY: '. Write the name as a text, in quotes if it is a number.',
};

function compose(text: string): Document {
  const lines = new LineCounter();
  const tokens = syntaxOf(text, lines);
  const composer = new Composer({ version: '1.2', schema: 'core', uniqueKeys: true, stringKeys: true, resolveKnownTags: false });
  const [document, ...rest] = [...composer.compose(tokens)];
  if (document === undefined) throw refuse('The text is empty. Write a definition: id, name, methods.');
  if (rest.length > 0) throw refuse('The text must hold one document. Send one definition, without --- in between.');
  const problems = [...document.errors, ...document.warnings];
  if (problems.length === 0) return document;
  throw invalidDefinition(
    problems.map(({ pos, message, code }) => {
      const { line, col } = lines.linePos(pos[0]);
      return {
        pointer: '',
        detail: `Line ${line}, column ${col}: ${message}${remedies[code] ?? '. Check the indentation, and put texts with signs such as : # @ { [ in quotes.'}`,
      };
    }),
  );
}

/** The values of a node; what a definition has no use for (aliases, tags) is a fault. */
function readNode(node: unknown, path: Path, faults: Fault[]): unknown {
  const fault = (detail: string) => faults.push({ pointer: pointerOf(path), detail });
  if (isAlias(node)) {
    fault('Aliases (*name) are not allowed. Write the value out.');
    return undefined;
  }
  if (isNode(node) && node.tag !== undefined) fault('Tags (!name) are not allowed. Leave it out; a text that begins with ! needs quotes.');
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map((item, index) => readNode(item, [...path, index], faults));
  if (!isMap(node)) return null;
  return Object.fromEntries(
    node.items.map(({ key, value }) => {
      const name = String(isScalar(key) ? key.value : key);
      return [name, readNode(value, [...path, name], faults)];
    }),
  );
}

/**
 * Reads YAML 1.2 (core schema) or JSON: one document of at most 64 KiB, unique keys, no aliases, no tags.
 * Returns plain values as `copyPlain` makes them. Throws `invalid_definition` with line and column.
 */
export function readDocument(text: string): Plain {
  if (new TextEncoder().encode(text).length > maxBytes) throw refuse('The text is larger than 64 KiB.');
  const faults: Fault[] = [];
  const value = readNode(compose(text).contents, [], faults);
  if (faults.length > 0) throw invalidDefinition(faults);
  return copyPlain(value);
}

/** Plain values as YAML that `readDocument` reads back as they were. */
export function writeDocument(value: unknown): string {
  return stringify(value, { version: '1.2', schema: 'core', lineWidth: 0, aliasDuplicateObjects: false });
}
