import { Composer, type CST, type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, Parser } from 'yaml';
import type { Fault } from '../errors.ts';
import { invalidDefinition, type Path, pointerOf } from './faults.ts';
import { copyPlain, type Plain } from './plain.ts';

const maxBytes = 64 * 1024;
const maxDepth = 16;
const maxEntries = 1_000;

const refuse = (detail: string) => invalidDefinition([{ pointer: '', detail }]);

/** Looks at the syntax before anything recursive does: depth, and entries of one collection. */
function checkShape(document: CST.Document): void {
  const open: { token: CST.Token | null | undefined; depth: number }[] = [{ token: document.value, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next;
    if (!token || !('items' in token)) continue;
    if (depth >= maxDepth) throw refuse('The text is nested too deeply.');
    if (token.items.length > maxEntries) throw refuse(`One list or mapping has more than ${maxEntries} entries.`);
    for (const { key, value } of token.items) open.push({ token: key, depth: depth + 1 }, { token: value, depth: depth + 1 });
  }
}

function compose(text: string): Document {
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  for (const token of tokens) if (token.type === 'document') checkShape(token);
  if (tokens.filter((token) => token.type === 'document').length !== 1) throw refuse('The text must hold one document.');

  const composer = new Composer({ version: '1.2', schema: 'core', uniqueKeys: true, stringKeys: true, resolveKnownTags: false });
  const [document, ...rest] = [...composer.compose(tokens, true, text.length)];
  if (document === undefined || rest.length > 0) throw refuse('The text must hold one document.');
  const problems = [...document.errors, ...document.warnings];
  if (problems.length === 0) return document;
  throw invalidDefinition(
    problems.map(({ pos, message }) => {
      const { line, col } = lines.linePos(pos[0]);
      return { pointer: '', detail: `Line ${line}, column ${col}: ${message}` };
    }),
  );
}

/** The values of a node; what a definition has no use for (aliases, tags) is a fault. */
function valueOf(node: unknown, path: Path, faults: Fault[]): unknown {
  const fault = (detail: string) => faults.push({ pointer: pointerOf(path), detail });
  if (isAlias(node)) {
    fault('Aliases (*name) are not allowed.');
    return undefined;
  }
  if (isNode(node) && node.tag !== undefined) fault('Tags (!name) are not allowed.');
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map((item, index) => valueOf(item, [...path, index], faults));
  if (!isMap(node)) return null;
  return Object.fromEntries(
    node.items.map(({ key, value }) => {
      const name = String(isScalar(key) ? key.value : key);
      return [name, valueOf(value, [...path, name], faults)];
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
  const value = valueOf(compose(text).contents, [], faults);
  if (faults.length > 0) throw invalidDefinition(faults);
  return copyPlain(value);
}
