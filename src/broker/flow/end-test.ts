import { grantFor } from '../../grants/index.ts';
import type { Credential, CredentialFields } from '../../protocol/credential.ts';
import { isGrantryError } from '../../protocol/errors.ts';
import type { GrantContext } from '../../protocol/grant.ts';
import { pointerValue } from '../../protocol/pointer.ts';
import { canRefresh } from '../../protocol/refreshable.ts';
import { missingScopes } from '../../protocol/scopes.ts';
import { showRequest } from '../../protocol/trace/shown-request.ts';
import { apiBase, contextApi, jsonOf, presentCredential, sendProbe } from '../account.ts';
import type { LinkRecord, TestStep } from '../records.ts';
import type { World } from '../world.ts';
import { type Failed, failLink } from './context.ts';
import { learnCredential, type Trace } from './trace.ts';

/** The rest of a test, once a credential is there: understood, probed, refreshed, presented, given back. Nothing of it is kept. */

export type Tested = { kind: 'tested'; link: LinkRecord };

type Test = { trace: Trace; link: LinkRecord; ctx: GrantContext };

/** Does one step; what the provider or the definition spoils is noted and ends nothing. */
async function attempt<T>(trace: Trace, step: TestStep['step'], work: () => Promise<T>): Promise<T | undefined> {
  trace.begin(step);
  try {
    return await work();
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    await trace.noteFailure(error);
    return undefined;
  }
}

async function noteUnderstood({ trace, link, ctx }: Test, fields: CredentialFields): Promise<void> {
  const missing = missingScopes(link.scopes, fields.scopes, 'scopes' in ctx.method ? ctx.method.scopes : undefined);
  // A provider may echo anything anywhere.
  const shown = (text: string) => (trace.masks.secretIn(text) === undefined ? text : trace.masks.hide(text));
  const lacks = missing.length === 0 ? '' : ` It lacks scopes that were asked for: ${missing.join(', ')}.`;
  const named = fields.account === undefined ? '' : ' The ID token names the account.';
  await trace.note({
    step: 'understood',
    outcome: 'ok',
    what: `The answer holds a credential that can be used.${named}${lacks}`,
    understood: {
      token_type: fields.token_type,
      expires_in: fields.lifetimeS,
      refresh_token: fields.refresh_token !== undefined,
      refresh_expires_in: fields.refreshLifetimeS,
      refreshable: canRefresh(ctx.method, fields),
      scopes: fields.scopes.map(shown),
      missing_scopes: missing,
      extras: Object.fromEntries(Object.entries(fields.extras).map(([name, value]) => [name, shown(value)])),
    },
  });
}

const probeAdvice: Readonly<Record<number, string>> = {
  401: 'The provider does not take the credential: look at api.token (in, name, scheme) and at api.headers.',
  403: 'The provider takes the credential and forbids this call: look at the scopes, or choose another api.probe.',
  404: 'There is nothing at this address: look at api.base_url and api.probe.path.',
  405: 'The provider does not take this HTTP method: look at api.probe.method.',
};

async function probe({ trace, ctx }: Test, credential: Credential): Promise<void> {
  await attempt(trace, 'probe', async () => {
    const answer = await sendProbe(ctx, credential, 'read');
    if (answer === undefined)
      return trace.note({ step: 'probe', outcome: 'skipped', what: 'The definition has no probe for this method (api.probe).' });
    if (answer.status < 200 || answer.status >= 300) {
      const look = probeAdvice[answer.status] ?? 'Look at api.probe, and at what came back.';
      return trace.note({ step: 'probe', outcome: 'failed', what: `The probe was answered with HTTP status ${answer.status}.`, look });
    }
    const { account, probe: call } = contextApi(ctx);
    if (!answer.works) {
      const look = `The answer does not hold what says that all is well: ${call?.success?.pointer} (api.probe.success).`;
      return trace.note({ step: 'probe', outcome: 'failed', what: 'The probe was answered with a failure inside a good HTTP status.', look });
    }
    const named = account === undefined ? undefined : pointerValue(jsonOf(answer.body), account);
    if (account !== undefined && typeof named !== 'string' && typeof named !== 'number') {
      const look = `The answer to the probe has no text or number at ${account} (api.account).`;
      return trace.note({ step: 'probe', outcome: 'failed', what: 'The credential works, and the account was not found in the answer.', look });
    }
    const what = account === undefined ? 'The credential works.' : 'The credential works, and the answer names the account.';
    return trace.note({ step: 'probe', outcome: 'ok', what });
  });
}

/** The credential to go on with: the new one where a refresh brought one. */
async function refresh({ trace, ctx }: Test, credential: Credential): Promise<Credential> {
  const fields = credential.reveal();
  if (!canRefresh(ctx.method, fields)) {
    const asked = 'refresh' in ctx.method && fields.kind === 'oauth2';
    const what = asked
      ? 'There is nothing to refresh with: no refresh token came. Providers often give one only for a scope (such as offline_access) or a parameter (such as access_type=offline).'
      : 'Credentials of this kind are not refreshed.';
    await trace.note({ step: 'refresh', outcome: 'skipped', what });
    return credential;
  }
  const next = await attempt(trace, 'refresh', async () => grantFor(ctx.method).refresh?.(ctx, credential));
  if (next === undefined) return credential;
  learnCredential(trace.masks, ctx, next.reveal());
  await trace.note({ step: 'refresh', outcome: 'ok', what: 'The refresh brought a credential that can be used.' });
  return next;
}

async function present({ trace, ctx }: Test, credential: Credential): Promise<void> {
  await attempt(trace, 'presentation', async () => {
    const base = apiBase(ctx, credential);
    if (base === undefined)
      return trace.note({ step: 'presentation', outcome: 'skipped', what: 'The definition does not say where the API is (api.base_url).' });
    const presented = presentCredential(ctx, credential, { method: 'GET', url: base });
    const request = showRequest(trace.masks, { method: 'GET', ...presented });
    return trace.note({ step: 'presentation', outcome: 'ok', what: 'So a call of the API is made; this one was not sent.', request });
  });
}

async function giveBack({ trace, ctx }: Test, credential: Credential): Promise<void> {
  const { method } = ctx;
  if (!('revocation_endpoint' in method) || method.revocation_endpoint === undefined) {
    const own = method.grant === 'api_key' || method.grant === 'basic';
    const what = own
      ? 'Nothing was stored: what was entered is forgotten.'
      : 'The credential is forgotten here, but the definition has no revocation_endpoint: it ends by itself, or in the settings of your account at the provider.';
    return trace.note({ step: 'revocation', outcome: 'skipped', what });
  }
  const revoke = async () => {
    await grantFor(method).revoke?.(ctx, credential);
    return 'told' as const;
  };
  if ((await attempt(trace, 'revocation', revoke)) === 'told')
    await trace.note({ step: 'revocation', outcome: 'ok', what: 'The provider has ended the credential, and it is forgotten here.' });
}

/** Goes through the rest of a test, whose trace knows the secrets of the credential, and ends its link. */
export async function endTest(world: World, { trace, link, ctx }: Test, credential: Credential): Promise<Tested | Failed> {
  const test = { trace, link, ctx };
  await noteUnderstood(test, credential.reveal());
  await probe(test, credential);
  const next = await refresh(test, credential);
  await present(test, next);
  await giveBack(test, next);
  if (await world.store.tests.end({ id: link.id, attempt: link.attempt })) return { kind: 'tested', link };
  return failLink(world, link, 'invalid_callback', 'The flow had ended.');
}
