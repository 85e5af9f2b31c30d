import { adviceForCode } from '../../protocol/trace/advice.ts';
import { isErrorCode } from '../../protocol/trace/shown-answer.ts';
import type { LinkRecord, TestStep } from '../records.ts';
import type { World } from '../world.ts';
import { linkMethod } from './context.ts';
import { noteStep } from './trace.ts';

/** What a test writes down of a callback: its parameters, masked, and each check that it had to pass. */

const checks = [
  'state',
  'browser',
  'redirect_uri',
  'registration',
  'issuer',
  'signature',
  'refusal',
  'code',
  'inputs',
  'verifier',
  'replay',
  'request_token',
] as const;
export type Check = (typeof checks)[number];

/** Checks that only some callbacks have. */
const onlyOf: Partial<Record<Check, string>> = {
  issuer: 'authorization_code',
  signature: 'authorization_code',
  inputs: 'authorization_code',
  verifier: 'oauth1',
  request_token: 'oauth1',
};

const advice: Record<Check, string> = {
  state: 'Make a new test.',
  browser: 'Go through the whole test in one browser, with cookies allowed.',
  redirect_uri: 'Register exactly the redirect URI of the integration at the provider.',
  registration: 'The integration was changed after the test began: make a new test.',
  issuer: 'Compare the issuer of the definition with the iss that the provider sends (RFC 9207), or set iss_parameter.',
  signature: 'Look at callback.signature in the definition, and at the client secret.',
  refusal: 'Look the error up in the documentation of the provider.',
  code: 'Look at callback.code: it names the parameter that holds the code. The parameters that came are listed here.',
  inputs: 'Look at callback.inputs: each names a parameter and what stands around the value there. An input that was given must agree.',
  verifier: 'Set callback.verifier to absent if this provider sends no oauth_verifier.',
  replay: 'Make a new test: a code serves once.',
  request_token: 'Make a new test, and go through it in one go.',
};

type Read = { entries(): [string, string[]][]; single(name: string): string | undefined };

const lengthOf = (values: readonly string[]) => (values.length === 1 ? `<text: ${values[0]?.length ?? 0} characters>` : `<${values.length} values>`);

function shown([name, values]: [string, string[]]): { name: string; value: string } {
  const [value = ''] = values;
  const isSaid = (name === 'error' || name === 'oauth_problem') && values.length === 1 && isErrorCode(value);
  return { name: /^[\w.:-]{1,40}$/.test(name) ? name : `<text: ${name.length} characters>`, value: isSaid ? value : lengthOf(values) };
}

/** Returns how to say that all checks have passed, or which one did not. */
export function watchCallback(world: World, link: LinkRecord, parameters: Read): (failed?: Check, what?: string) => Promise<void> {
  return async (failed, what = 'The provider sent the browser back, and every check has passed.') => {
    if (link.purpose !== 'test') return;
    const { grant } = linkMethod(link);
    const made = checks.filter((check) => onlyOf[check] === undefined || onlyOf[check] === grant);
    const until = failed === undefined ? made.length : made.indexOf(failed) + 1;
    const step: TestStep = {
      step: 'callback',
      outcome: failed === undefined ? 'ok' : 'failed',
      what,
      parameters: parameters.entries().map(shown),
      checks: made.slice(0, until).map((check) => ({ check, outcome: check === failed ? 'failed' : 'ok' })),
    };
    const code = parameters.single('error') ?? '';
    const look = failed === undefined ? undefined : failed === 'refusal' ? (adviceForCode(code) ?? advice.refusal) : advice[failed];
    await noteStep(world, link, { ...step, ...(look !== undefined && { look }) });
  };
}
