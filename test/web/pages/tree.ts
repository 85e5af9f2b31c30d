import { type DefaultTreeAdapterTypes, parse } from 'parse5';

type Node = DefaultTreeAdapterTypes.Node;
type Element = DefaultTreeAdapterTypes.Element;

function isElement(node: Node): node is Element {
  return 'tagName' in node;
}

function children(node: Node): readonly Node[] {
  return 'childNodes' in node ? node.childNodes : [];
}

/** Every element of a document, in order. */
export function elements(html: string): Element[] {
  const walk = (node: Node): Element[] => [...(isElement(node) ? [node] : []), ...children(node).flatMap(walk)];
  return walk(parse(html));
}

export function attribute(element: Element, name: string): string | undefined {
  return element.attrs.find((attr) => attr.name === name)?.value;
}

export function text(node: Node): string {
  return 'value' in node ? node.value : children(node).map(text).join('');
}

/** What a document is made of, without what it says: node names and attribute names, nested. */
export function structure(html: string): string {
  const walk = (node: Node): string => {
    if (node.nodeName === '#text') return '';
    const names = isElement(node)
      ? node.attrs
          .map((attr) => attr.name)
          .sort()
          .join(' ')
      : '';
    return `${node.nodeName}[${names}](${children(node).map(walk).join('')})`;
  };
  return walk(parse(html));
}
