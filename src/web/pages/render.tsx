import type { VNode } from 'preact';
import { render } from 'preact-render-to-string';
import { errorTable } from '../../protocol/errors.ts';
import { Connect } from './connect.tsx';
import { Failed, Stopped } from './failed.tsx';
import { hasFaults } from './form.tsx';
import { OutOfBand } from './out-of-band.tsx';
import { Confirmation, Connected, Tested } from './outcome.tsx';
import type { Page } from './page.ts';

const noticeStatus = { already_used: 410, wrong_browser_open: 400, stale_form: 403, not_found: 404, rate_limited: 429, error: 500 } as const;

function statusOf(page: Page): number {
  switch (page.kind) {
    case 'connect':
      return hasFaults(page.inputs) ? 400 : 200;
    case 'out_of_band':
      return page.error === undefined ? 200 : 400;
    case 'confirmation':
    case 'connected':
    case 'tested':
      return 200;
    case 'failed':
      return errorTable[page.code].status;
    default:
      return noticeStatus[page.kind];
  }
}

function elementOf(page: Page) {
  switch (page.kind) {
    case 'connect':
      return <Connect page={page} />;
    case 'out_of_band':
      return <OutOfBand page={page} />;
    case 'confirmation':
      return <Confirmation page={page} />;
    case 'connected':
      return <Connected page={page} />;
    case 'tested':
      return <Tested page={page} />;
    case 'failed':
      return <Failed page={page} />;
    default:
      return <Stopped page={page} />;
  }
}

/**
 * The one way to a hosted page: the whole HTML document, every value escaped, and its HTTP status. To be sent with `pageHeaders`.
 * An address that may not stand in a link leaves the link out; throws `address_refused` for an out-of-band page's
 * authorization URL, and `internal_error` for a form action that is not a path of ours.
 */
export function renderPage(page: Page): { html: string; status: number } {
  return { html: renderDocument(elementOf(page)), status: statusOf(page) };
}

/** An element as a whole HTML document. */
export function renderDocument(element: VNode): string {
  return `<!DOCTYPE html>${render(element)}`;
}
