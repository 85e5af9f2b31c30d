import { describe, expect, it } from 'vitest';
import { isGrantryError } from '../../../src/protocol/errors.ts';
import type { Page } from '../../../src/web/pages/page.ts';
import { renderPage } from '../../../src/web/pages/render.tsx';
import { forbiddenAddresses, payloads } from './payloads.ts';
import { addressFields, leaves, shapes } from './samples.ts';
import { attribute, elements, structure } from './tree.ts';

const isAddress = (path: string) => addressFields.has(path);

function rendered(page: Page): string | undefined {
  try {
    return renderPage(page).html;
  } catch (error) {
    if (isGrantryError(error, 'address_refused', 'internal_error')) return undefined;
    throw error;
  }
}

const addressAttributes = ['href', 'action', 'src', 'formaction', 'data', 'srcdoc', 'xlink:href'];
const harmless = /^(?:#field-\d+$|\/(?![/\\])|https?:\/\/[^/@\\]+(?:[/?#]|$))/;

describe('hostile text', () => {
  it('has at least two hundred payloads, no two alike', () => {
    expect(new Set(payloads).size).toBe(payloads.length);
    expect(payloads.length).toBeGreaterThanOrEqual(200);
  });

  it.each(shapes)('%s: no field changes what the document is made of', (_, page) => {
    const benign = structure(renderPage(page).html);
    for (const leaf of leaves(page).filter(({ path }) => !isAddress(path))) {
      const changing = payloads.filter((payload) => structure(renderPage(leaf.replace(payload)).html) !== benign);
      expect(changing, leaf.path).toEqual([]);
    }
  });

  it.each(shapes)('%s: every text field is shown, and a secret value never is', (_, page) => {
    for (const leaf of leaves(page).filter(({ path }) => !isAddress(path))) {
      const secret = page.kind === 'connect' && page.inputs.some((input, index) => input.secret && leaf.path === `inputs.${index}.value`);
      const select =
        page.kind === 'connect' && page.inputs.some((input, index) => input.choices !== undefined && leaf.path === `inputs.${index}.value`);
      if (select) continue;
      expect(renderPage(leaf.replace('marker-7f3a')).html.includes('marker-7f3a'), leaf.path).toBe(!secret);
    }
  });
});

describe('hostile addresses', () => {
  const cases = shapes.flatMap(([name, page]) =>
    leaves(page)
      .filter(({ path }) => isAddress(path))
      .map((leaf): [string, string, Page, typeof leaf] => [name, leaf.path, page, leaf]),
  );

  it.each(cases)('%s: %s is never anything but a web address or a path of ours', (_, path, page, leaf) => {
    const count = elements(renderPage(page).html).length;
    const harmful = [...forbiddenAddresses, ...payloads].filter((payload) => {
      const html = rendered(leaf.replace(payload));
      if (html === undefined) return false;
      const found = elements(html);
      const values = found.flatMap((element) => addressAttributes.flatMap((name) => attribute(element, name) ?? []));
      const active = found.some((element) => element.attrs.some((attr) => attr.name.startsWith('on') || attr.name === 'style'));
      return active || found.length > count || !values.every((value) => harmless.test(value));
    });
    expect(harmful, path).toEqual([]);
  });

  it.each(cases)('%s: %s drops the link or refuses the page for each forbidden address', (_, path, page, leaf) => {
    const links = (html: string) =>
      elements(html).filter((element) => element.tagName === 'a' && !attribute(element, 'href')?.startsWith('#')).length;
    const before = links(renderPage(page).html);
    for (const address of forbiddenAddresses) {
      const html = rendered(leaf.replace(address));
      const expected = path === 'action' || path === 'authorizeUrl' ? undefined : before - 1;
      expect(html === undefined ? undefined : links(html), JSON.stringify(address)).toBe(expected);
    }
  });
});
