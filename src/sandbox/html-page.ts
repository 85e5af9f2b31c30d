import { type DefaultTreeAdapterMap, defaultTreeAdapter, parse } from 'parse5';

/** What a person sees on an HTML page: its text, its links and its forms. The one file that knows parse5. */

export type Button = { text: string; name: string; value: string; action: string | undefined };
export type HtmlForm = {
  /** As written in the page; resolve it against the page's address. */
  action: string;
  method: 'GET' | 'POST';
  /** What would be sent when nobody changes anything, in the page's order. */
  fields: readonly (readonly [name: string, value: string])[];
  /** Every name that can be filled in, sent or not. */
  names: ReadonlySet<string>;
  buttons: readonly Button[];
};
export type HtmlPage = { title: string; text: string; links: readonly { text: string; href: string }[]; forms: readonly HtmlForm[] };

type Node = DefaultTreeAdapterMap['node'];
type Element = DefaultTreeAdapterMap['element'];

const attribute = (element: Element, name: string) => element.attrs.find((attr) => attr.name === name)?.value;
const childrenOf = (node: Node): readonly Node[] => ('childNodes' in node ? node.childNodes : []);

function elementsIn(node: Node): Element[] {
  return childrenOf(node).flatMap((child) => (defaultTreeAdapter.isElementNode(child) ? [child, ...elementsIn(child)] : elementsIn(child)));
}

function textOf(node: Node): string {
  if (defaultTreeAdapter.isTextNode(node)) return node.value;
  if (defaultTreeAdapter.isElementNode(node) && ['script', 'style', 'head', 'template'].includes(node.tagName)) return '';
  const isBlock = defaultTreeAdapter.isElementNode(node) && !['a', 'b', 'strong', 'em', 'code', 'span', 'i', 'small'].includes(node.tagName);
  return childrenOf(node).map(textOf).join('') + (isBlock ? '\n' : '');
}

const squeeze = (text: string) =>
  text
    .replace(/[\t\r ]+/g, ' ')
    .replace(/ ?\n[\n ]*/g, '\n')
    .trim();

function fieldOf(element: Element): readonly (readonly [string, string])[] {
  const name = attribute(element, 'name');
  if (name === undefined || name === '' || attribute(element, 'disabled') !== undefined) return [];
  if (element.tagName === 'textarea') return [[name, childrenOf(element).map(textOf).join('')]];
  if (element.tagName === 'select') {
    const options = elementsIn(element).filter(({ tagName }) => tagName === 'option');
    const chosen = options.find((option) => attribute(option, 'selected') !== undefined) ?? options[0];
    return chosen === undefined ? [] : [[name, attribute(chosen, 'value') ?? squeeze(textOf(chosen))]];
  }
  const type = attribute(element, 'type')?.toLowerCase() ?? 'text';
  if (['checkbox', 'radio'].includes(type)) return attribute(element, 'checked') === undefined ? [] : [[name, attribute(element, 'value') ?? 'on']];
  return [[name, attribute(element, 'value') ?? '']];
}

const inputType = (element: Element) => attribute(element, 'type')?.toLowerCase() ?? (element.tagName === 'button' ? 'submit' : 'text');

function formOf(form: Element, all: readonly Element[]): HtmlForm {
  const id = attribute(form, 'id');
  const inside = new Set(elementsIn(form));
  const owned = all.filter((element) => {
    const owner = attribute(element, 'form');
    return owner === undefined ? inside.has(element) : owner === id;
  });
  const isButton = (element: Element) =>
    (element.tagName === 'button' || element.tagName === 'input') &&
    ['submit', 'image'].includes(inputType(element)) &&
    attribute(element, 'disabled') === undefined;
  const inputs = owned.filter(
    (element) => ['input', 'select', 'textarea'].includes(element.tagName) && !['submit', 'image', 'button', 'reset'].includes(inputType(element)),
  );
  return {
    action: attribute(form, 'action') ?? '',
    method: attribute(form, 'method')?.toLowerCase() === 'post' ? 'POST' : 'GET',
    fields: inputs.flatMap(fieldOf),
    names: new Set(inputs.flatMap((input) => attribute(input, 'name') ?? [])),
    buttons: owned.filter(isButton).map((button) => ({
      text: squeeze(textOf(button)) || (attribute(button, 'value') ?? ''),
      name: attribute(button, 'name') ?? '',
      value: attribute(button, 'value') ?? '',
      action: attribute(button, 'formaction'),
    })),
  };
}

export function parseHtml(html: string): HtmlPage {
  const document = parse(html);
  const all = elementsIn(document);
  const title = all.find(({ tagName }) => tagName === 'title');
  return {
    title: title === undefined ? '' : squeeze(childrenOf(title).map(textOf).join('')),
    text: squeeze(textOf(document)),
    links: all.flatMap((element) => {
      const href = element.tagName === 'a' ? attribute(element, 'href') : undefined;
      return href === undefined ? [] : [{ text: squeeze(textOf(element)), href }];
    }),
    forms: all.filter(({ tagName }) => tagName === 'form').map((form) => formOf(form, all)),
  };
}
