import { GrantryError } from '../protocol/errors.ts';
import { createLink, getLink, type LinkBody } from './links.ts';
import type { LinkRecord, TestStepRecord } from './records.ts';
import type { World } from './world.ts';

/** Tests of an integration: a connect link for the admin herself, of which every step is written down and nothing else is kept. */

export type TestBody = Pick<LinkBody, 'scopes' | 'inputs' | 'expires_in' | 'endpoint'>;

/** Makes the link of a test. Throws `not_found`, and `invalid_request` as `createLink`. */
export async function createTest(world: World, project: string, integration: string, body: TestBody): Promise<{ link: LinkRecord; url: string }> {
  if ((await world.store.integrations.get(project, integration)) === undefined) throw new GrantryError('not_found');
  const end_user = { id: 'test', display_name: 'the administrator who tests the integration' };
  return createLink(world, project, { ...body, integration, end_user, skip_page: false }, 'test');
}

export type Test = {
  link: LinkRecord;
  /** `waiting` until the flow has ended. */
  outcome: 'waiting' | 'passed' | 'failed';
  /** While it waits: what happens next. */
  next: string | null;
  steps: TestStepRecord[];
};

const browserGrants: ReadonlySet<string> = new Set(['authorization_code', 'oauth1']);

function nextOf({ status, redirect_uri, snapshot: { definition, method } }: LinkRecord): string | null {
  switch (status) {
    case 'pending':
      return 'Open the URL of the test in a browser.';
    case 'opened':
      return browserGrants.has(definition.methods[method]?.grant ?? '')
        ? 'Go on to the provider on the page that is open.'
        : 'Send the form on the page that is open.';
    case 'authorizing':
      return redirect_uri === ''
        ? 'Allow the access at the provider, then come back to the page that is open.'
        : `Nothing has come back yet. If the provider shows an error, register ${redirect_uri} there, and compare the client id. If it sent the browser back, it did not send the state along: see callback.state.`;
    case 'exchanging':
      return 'The provider is being asked.';
    default:
      return null;
  }
}

/** How a test stands, and its steps. Throws `not_found`. */
export async function readTest(world: World, project: string, integration: string, id: string): Promise<Test> {
  const link = await getLink(world, project, id);
  if (link.purpose !== 'test' || link.integration_id !== integration) throw new GrantryError('not_found');
  const steps = await world.store.tests.steps(id);
  return { link, outcome: outcomeOf(link, steps), next: nextOf(link), steps };
}

/** What came of a test, by its link and its steps. */
export function outcomeOf(link: Pick<LinkRecord, 'status' | 'error_code'>, steps: readonly TestStepRecord[]): Test['outcome'] {
  if (link.error_code !== null) return 'failed';
  if (link.status !== 'connected') return 'waiting';
  return steps.slice(lastBegin(steps)).some(({ step }) => step.outcome === 'failed') ? 'failed' : 'passed';
}

/** Where the last try begins: of an earlier one, which was refused, nothing counts. */
function lastBegin(steps: readonly TestStepRecord[]): number {
  return Math.max(
    0,
    steps.findLastIndex(({ step: { step, outcome } }) => step === 'understood' && outcome === 'ok'),
  );
}
