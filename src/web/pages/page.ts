import type { LinkErrorCode } from '../../broker/records.ts';

/** Why a connect link failed, as the API names it. */
export type LinkFailure = LinkErrorCode;

/** One value that the end user has to give. */
export type PageInput = {
  /** The form field's name. */
  name: string;
  label: string;
  description?: string;
  example?: string;
  /** Typed hidden, and never sent back to the browser. */
  secret: boolean;
  /** A text of many lines: a private key in PEM form. */
  lines?: boolean;
  optional: boolean;
  /** The only values there are. */
  choices?: readonly { value: string; label: string }[];
  value?: string;
  /** What is wrong with the value that was sent. */
  error?: string;
};

/** What every form carries: where it is posted (a path of ours) and the CSRF token. */
type Form = { action: string; csrf: string };

/** Who is connected with whom; all three are names for a person to read. */
type Parties = { project: string; provider: string; endUser: string };

/** Names that are known on some failure pages and not on others. */
type Known = { project?: string; provider?: string; requestId: string };

export type ConnectPage = Parties &
  Form & {
    kind: 'connect';
    /** `test`: an admin tries the integration out; nothing is connected. */
    purpose: 'connect' | 'test';
    scopes: readonly string[];
    /** The host that the browser goes to next, or that receives what the end user enters. */
    host: string;
    inputs: readonly PageInput[];
    reconnect: 'first' | 'again' | 'invalidates_existing';
    /** `directly`: the end user never leaves; what she enters is the credential, or is exchanged for one. */
    sends: 'to_provider' | 'directly';
  };

/** The provider does not send the browser back: the end user goes there in another tab, and returns by herself. */
export type OutOfBandPage = Form & {
  kind: 'out_of_band';
  project: string;
  provider: string;
  host: string;
  authorizeUrl: string;
  /** Whether the provider shows a code that has to be entered here. */
  verifier: 'required' | 'absent';
  error?: string;
};

/** After the callback of a provider that does not echo state: is this the account that was meant? */
export type ConfirmationPage = Parties &
  Form & {
    kind: 'confirmation';
    /** Undefined when the provider does not tell. */
    account: string | undefined;
  };

export type ConnectedPage = {
  kind: 'connected';
  project: string;
  provider: string;
  /** Scopes that were asked for and not granted. */
  missing: readonly string[];
  returnTo?: string;
};

/** The end of a test of an integration. */
export type TestedPage = { kind: 'tested'; provider: string; integration: string; outcome: 'passed' | 'failed' };

export type FailedPage = Known & {
  kind: 'failed';
  code: LinkFailure;
  /** Where to try again, when that makes sense: a path of ours or an absolute URL. */
  again?: string;
};

export type NoticePage =
  /** The link did its work before. */
  | ({ kind: 'already_used' } & Known)
  /** The link was opened first in another browser. */
  | ({ kind: 'wrong_browser_open' } & Known)
  /** The form's CSRF token does not fit (any more). */
  | ({ kind: 'stale_form'; again?: string } & Known)
  | { kind: 'not_found'; requestId: string }
  | { kind: 'rate_limited'; requestId: string }
  | { kind: 'error'; requestId: string };

/** Everything that an end user can be shown. */
export type Page = ConnectPage | OutOfBandPage | ConfirmationPage | ConnectedPage | TestedPage | FailedPage | NoticePage;

/**
 * Names of the form fields that are ours. A definition's input names hold no hyphen, so the token's name collides
 * with none of them; the two others stand on pages without inputs.
 */
export const formFields = { csrf: 'csrf-token', verifier: 'verifier', decision: 'decision' } as const;

/** What the confirmation page's two buttons send as `decision`. */
export const decisions = { confirm: 'confirm', decline: 'decline' } as const;
