import type { LinkFailure } from './page.ts';

/** What a failure page says. `{provider}` and `{project}` stand for the names. */
export type Wording = { heading: string; what: string; next: string };

export const failures: Readonly<Record<LinkFailure, Wording>> = {
  access_denied: {
    heading: 'Access was not allowed',
    what: '{provider} says that access was declined. Nothing was connected.',
    next: 'If that is what you wanted, you are done. If not, go back to where you began and start again.',
  },
  wrong_browser: {
    heading: 'Please finish in the browser you began in',
    what: 'The answer from {provider} arrived in another browser than the one that began, or this browser does not keep cookies. To protect you, nothing was connected.',
    next: 'Begin again at {project}, and stay in one browser with cookies allowed. If you did not begin this yourself, close this page.',
  },
  wrong_user: {
    heading: 'This link is for someone else',
    what: 'You are signed in at {project} as another person than the one this link was made for. Nothing was connected.',
    next: 'Sign in at {project} as the right person and ask for a new link. If somebody sent you this link, close this page.',
  },
  redirect_mismatch: {
    heading: 'The answer came to the wrong address',
    what: 'The answer from {provider} did not arrive where this connection expects it. To protect you, nothing was connected.',
    next: 'Ask {project} for a new link. If this happens again, tell them the code and request below.',
  },
  issuer_mismatch: {
    heading: 'The answer came from somewhere else',
    what: 'The answer does not come from the service that this connection was begun with. To protect you, nothing was connected.',
    next: 'Ask {project} for a new link. If this happens again, tell them the code and request below.',
  },
  code_replayed: {
    heading: 'This answer was used before',
    what: 'An answer from {provider} works only once, and this one was used already. To be safe, we stopped here.',
    next: 'Reloading or going back can cause this. Look at {project} whether you are connected; if not, ask there for a new link.',
  },
  invalid_callback: {
    heading: 'We were not waiting for this',
    what: 'No connection is in progress that this page belongs to. It may have taken too long, or be finished already.',
    next: 'Go back to {project} and begin again.',
  },
  provider_error: {
    heading: '{provider} has a problem',
    what: '{provider} could not go on with the connection. Nothing was connected.',
    next: 'Wait a few minutes and try again. If it stays like this, tell {project} the code and request below.',
  },
  exchange_failed: {
    heading: '{provider} did not finish the connection',
    what: 'You allowed access, but {provider} refused the last step. Nothing was connected.',
    next: 'Try again. If it stays like this, tell {project} the code and request below.',
  },
  exchange_unknown: {
    heading: 'We cannot tell whether it worked',
    what: '{provider} did not answer in the last step, so nothing was stored here. {provider} may still list the access as allowed.',
    next: 'Connect again: that is safe.',
  },
  account_mismatch: {
    heading: 'That is another account',
    what: 'You signed in at {provider} with another account than the one that is connected. Nothing was changed.',
    next: 'Sign out at {provider}, then try again with the account that you used the first time.',
  },
  link_expired: {
    heading: 'This link has expired',
    what: 'For your safety a link works only for a limited time, and that is over. Nothing was connected.',
    next: 'Go back to {project} and ask for a new link.',
  },
};

/** The same for what is not a failed link. */
export const notices = {
  already_used: {
    heading: 'This link was used before',
    what: 'A link works only once, and this one has done its work.',
    next: 'Look at {project} whether you are connected. To connect again, ask there for a new link.',
  },
  wrong_browser_open: {
    heading: 'This link is open in another browser',
    what: 'A link belongs to the browser that opened it first, so that nobody else can finish it. This browser may also have lost its cookies.',
    next: 'Go on in the browser you began in, or ask {project} for a new link. If you did not open it before, tell them.',
  },
  rate_limited: {
    heading: 'Too many requests',
    what: 'More came from your network in the last minute than we answer.',
    next: 'Wait a minute, then load this page again.',
  },
  stale_form: {
    heading: 'This page is out of date',
    what: 'What you sent came from an older copy of the page, so it was not used.',
    next: 'Open the page again and repeat what you entered.',
  },
  not_found: {
    heading: 'There is no such page',
    what: 'The address may be incomplete, or the link may be gone.',
    next: 'Check that you opened the whole link, or ask for a new one where you got it.',
  },
  error: {
    heading: 'Something went wrong on our side',
    what: 'It is not your fault, and we cannot say yet what became of your request.',
    next: 'Wait a few minutes and try again. If it stays like this, pass on the request below.',
  },
} as const satisfies Record<string, Wording>;
