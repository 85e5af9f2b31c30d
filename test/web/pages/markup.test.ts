import { describe, expect, it } from 'vitest';
import { errorTable } from '../../../src/protocol/errors.ts';
import { renderPage } from '../../../src/web/pages/render.tsx';
import { stylesheet } from '../../../src/web/pages/stylesheet.ts';
import { samples } from './samples.ts';
import { attribute, elements, text } from './tree.ts';

const all = Object.entries(samples);
const named = (html: string, ...tagNames: string[]) => elements(html).filter(({ tagName }) => tagNames.includes(tagName));
const words = (html: string) => named(html, 'body').map(text).join('');
const html = (name: string) => {
  const page = samples[name];
  if (page === undefined) throw new Error(`no sample ${name}`);
  return renderPage(page).html;
};

describe('every page', () => {
  it.each(all)('%s: a language, a title, one heading, a main part, one stylesheet, no script', (_, page) => {
    const { html } = renderPage(page);
    expect(html.startsWith('<!DOCTYPE html><html lang="en">')).toBe(true);
    expect(named(html, 'title').map(text).join('').length).toBeGreaterThan(5);
    expect(named(html, 'h1')).toHaveLength(1);
    expect(named(html, 'main')).toHaveLength(1);
    expect(named(html, 'link').map((link) => attribute(link, 'href'))).toEqual([stylesheet.path]);
    expect(named(html, 'script', 'style', 'img', 'iframe', 'base')).toHaveLength(0);
    expect(elements(html).some((element) => element.attrs.some(({ name }) => name === 'style' || name.startsWith('on')))).toBe(false);
  });

  it.each(all)('%s: ids are unique and every reference finds one', (_, page) => {
    const { html } = renderPage(page);
    const ids = elements(html).flatMap((element) => attribute(element, 'id') ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const references = elements(html).flatMap((element) => [
      ...(attribute(element, 'aria-describedby')?.split(' ') ?? []),
      ...(attribute(element, 'aria-labelledby')?.split(' ') ?? []),
      ...(attribute(element, 'for')?.split(' ') ?? []),
      ...(attribute(element, 'href')?.startsWith('#') ? [attribute(element, 'href')?.slice(1)] : []),
    ]);
    for (const reference of references) expect(ids).toContain(reference);
  });

  it.each(all)('%s: every field has a label, every form its token', (_, page) => {
    const { html } = renderPage(page);
    const labelled = named(html, 'label').map((label) => attribute(label, 'for'));
    for (const field of named(html, 'input', 'select').filter((input) => attribute(input, 'type') !== 'hidden')) {
      expect(labelled).toContain(attribute(field, 'id'));
    }
    for (const form of named(html, 'form')) expect([attribute(form, 'method'), attribute(form, 'action')]).toEqual(['post', '/connect/Zm9vYmFy']);
    expect(
      named(html, 'input')
        .filter((input) => attribute(input, 'name') === 'csrf-token')
        .map((input) => attribute(input, 'value')),
    ).toEqual(named(html, 'form').map(() => 'csrf-value'));
  });

  it.each(all.filter(([, page]) => 'requestId' in page))('%s: says the code, the request and what to do', (_, page) => {
    const { html } = renderPage(page);
    const codes = named(html, 'code').map(text);
    const code = page.kind === 'failed' ? page.code : page.kind === 'error' ? 'internal_error' : page.kind;
    expect(codes).toEqual([code, 'req_01JD3ZK7Q8']);
    expect(named(html, 'h2').map(text)).toEqual(['What to do']);
    expect(words(html)).not.toMatch(/[{}]|undefined|\[object/);
  });
});

describe('status codes', () => {
  it.each(all)('%s', (_, page) => {
    const expected: Record<string, number> = {
      already_used: 410,
      wrong_browser_open: 400,
      stale_form: 403,
      not_found: 404,
      rate_limited: 429,
      error: 500,
      connected: 200,
      confirmation: 200,
    };
    const faulty =
      (page.kind === 'connect' && page.inputs.some(({ error }) => error !== undefined)) || (page.kind === 'out_of_band' && page.error !== undefined);
    expect(renderPage(page).status).toBe(page.kind === 'failed' ? errorTable[page.code].status : (expected[page.kind] ?? (faulty ? 400 : 200)));
  });
});

describe('the connect page', () => {
  it('names who asks, for whom, what, and where the browser goes', () => {
    for (const part of [
      'Northwind Analytics',
      'Ann Example (ann@northwind.test)',
      'Zendesk',
      'tickets:read',
      'users:read',
      'acme.zendesk.com',
      'Continue to Zendesk',
    ]) {
      expect(words(html('connect'))).toContain(part);
    }
  });

  it('says so when no scope is asked for', () => {
    expect(words(html('connect, no scopes, again'))).toContain('No particular permissions are asked for');
  });

  it('warns only where going on ends the present access', () => {
    const warning = 'Going on ends the present access at once';
    expect(words(html('connect, ends present access'))).toContain(warning);
    expect(words(html('connect'))).not.toContain(warning);
    expect(words(html('connect, no scopes, again'))).not.toContain(warning);
  });

  it('ties description, example and error to their field, and begins with what is wrong', () => {
    const page = html('connect, inputs refused');
    const field = named(page, 'input').find((input) => attribute(input, 'name') === 'subdomain');
    expect(field?.attrs).toEqual(
      expect.arrayContaining([
        { name: 'aria-invalid', value: 'true' },
        { name: 'aria-describedby', value: 'field-1-hint field-1-example field-1-error' },
        { name: 'value', value: 'acme!' },
        { name: 'autofocus', value: '' },
        { name: 'required', value: '' },
      ]),
    );
    const alert = elements(page).find((element) => attribute(element, 'role') === 'alert');
    expect(alert === undefined ? '' : text(alert)).toContain('Subdomain: Only letters, digits and hyphens.');
    expect(named(page, 'title').map(text)).toEqual(['Error: Connect Zendesk to Northwind Analytics']);
  });

  it('hides a secret and keeps it from being stored or sent back', () => {
    const secret = named(html('connect, inputs refused'), 'input').find((input) => attribute(input, 'name') === 'api_key');
    expect(secret === undefined ? undefined : [attribute(secret, 'type'), attribute(secret, 'autocomplete'), attribute(secret, 'value')]).toEqual([
      'password',
      'off',
      undefined,
    ]);
  });

  it('offers the choices, and marks the one that was made', () => {
    const page = samples.connect;
    if (page?.kind !== 'connect') throw new Error('no connect sample');
    const { html } = renderPage({
      ...page,
      inputs: [
        {
          name: 'r',
          label: 'R',
          secret: false,
          optional: false,
          choices: ['a', 'b'].map((choice) => ({ value: choice, label: choice })),
          value: 'b',
        },
      ],
    });
    expect(named(html, 'option').map((option) => [attribute(option, 'value'), attribute(option, 'selected') !== undefined])).toEqual([
      ['', false],
      ['a', false],
      ['b', true],
    ]);
  });
});

describe('the out-of-band page', () => {
  it('asks for a code only where there is one', () => {
    const fields = (name: string) => named(html(name), 'input').map((input) => attribute(input, 'name'));
    expect(fields('out of band, code')).toEqual(['csrf-token', 'verifier']);
    expect(fields('out of band, no code')).toEqual(['csrf-token']);
  });

  it('opens the provider in a tab that knows nothing of this one', () => {
    const link = named(html('out of band, no code'), 'a')[0];
    expect(link?.attrs.map(({ value }) => value)).toEqual(
      expect.arrayContaining(['https://dashboard.nexmo.com/oauth/authorize?oauth_token=abc', '_blank', 'noopener noreferrer']),
    );
  });
});
