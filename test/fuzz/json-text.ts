import type { Chance } from './chance.ts';

/** JSON as it is written, so that it can be written badly: a name twice, names that reach prototypes, numbers that no number holds. */
export type JsonNode =
  | { kind: 'object'; members: [name: string, value: JsonNode][] }
  | { kind: 'list'; items: JsonNode[] }
  | { kind: 'text'; value: string }
  /** Written as it is, JSON or not. */
  | { kind: 'literal'; text: string };

export const text = (value: string): JsonNode => ({ kind: 'text', value });
export const literal = (written: string): JsonNode => ({ kind: 'literal', text: written });

/** The node of a plain value. */
export function nodeOf(value: unknown): JsonNode {
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return { kind: 'list', items: value.map(nodeOf) };
  if (typeof value === 'object' && value !== null)
    return { kind: 'object', members: Object.entries(value).map(([name, inner]) => [name, nodeOf(inner)]) };
  return literal(String(value));
}

/** All nodes, the outermost first. */
export function nodesOf(node: JsonNode): JsonNode[] {
  const found = [node];
  // Grows while it is walked.
  for (const each of found) {
    if (each.kind === 'object') found.push(...each.members.map(([, value]) => value));
    else if (each.kind === 'list') found.push(...each.items);
  }
  return found;
}

const escaped = (value: string) => `"${[...value].map((c) => [...Array(c.length).keys()].map((n) => unit(c.charCodeAt(n))).join('')).join('')}"`;
const unit = (code: number) => `\\u${code.toString(16).padStart(4, '0')}`;

/** The text of a node; with `chance`, now and then with escapes where none are needed, and white space. */
export function writeJson(node: JsonNode, chance: Chance): string {
  const isOdd = chance.is(0.2);
  const quoted = (value: string) => (isOdd && chance.is(0.3) ? escaped(value) : JSON.stringify(value));
  const space = () => (isOdd ? chance.pick(['', ' ', '\n', '\t\r\n  ']) : '');
  // With a stack of its own: what is nested 20,000 deep is written too.
  const parts: string[] = [];
  const open: (JsonNode | string)[] = [node];
  while (open.length > 0) {
    const next = open.pop();
    if (next === undefined) break;
    if (typeof next === 'string') parts.push(next);
    else if (next.kind === 'literal') parts.push(next.text);
    else if (next.kind === 'text') parts.push(quoted(next.value));
    else if (next.kind === 'list') {
      open.push(']');
      // What is pushed last is written first.
      for (let at = next.items.length - 1; at >= 0; at -= 1) open.push(next.items[at] ?? '', at === 0 ? '' : `${space()},`);
      open.push('[');
    } else {
      open.push('}');
      for (let at = next.members.length - 1; at >= 0; at -= 1) {
        const [name, value] = next.members[at] ?? ['', literal('')];
        open.push(value, `${at === 0 ? '' : ','}${space()}${quoted(name)}${space()}:${space()}`);
      }
      open.push('{');
    }
  }
  return parts.join('');
}
