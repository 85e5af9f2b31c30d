import { ofLink, ofReason, ofRefresh } from './failure-words.ts';
import { type EventRecord, type EventType, eventTypes } from './records.ts';

/** The timeline of a connection in words that a support person can read out to a customer. */

export type Told = {
  what: string;
  why: string | null;
  /** What happens by itself now, or what somebody has to do. */
  next: string | null;
};

type Data = EventRecord['data'];

const units = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
] as const;

/** `3600` is "1 hour", `5400` is "90 minutes"; undefined for what is no time to come. */
function spoken(seconds: unknown): string | undefined {
  if (typeof seconds !== 'number' || !(seconds >= 1) || !Number.isFinite(seconds)) return undefined;
  const [size, name] = units.find(([unit]) => seconds >= 2 * unit || seconds === unit) ?? [1, 'second'];
  const count = Math.round(seconds / size);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

/** `2026-11-20T12:00:00.000Z` is "20 November 2026, 12:00 UTC"; undefined for what is no instant. */
function spokenTime(text: unknown): string | undefined {
  const time = new Date(typeof text === 'string' ? text : Number.NaN);
  if (Number.isNaN(time.getTime())) return undefined;
  const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(time);
  return `${day}, ${time.toISOString().slice(11, 16)} UTC`;
}

/** How a connection was made without a browser. */
const ways: Readonly<Record<string, string>> = {
  imported: 'It was brought over from another system.',
  client_credentials: 'It was made by a program, without a browser.',
  jwt_bearer: 'It was made by a program, without a browser.',
  credential_exchange: 'It was made by a program, without a browser.',
  api_key: 'It was made with a key that the customer has from the provider.',
  basic: 'It was made with a user name and a password of the customer.',
};
const stays = 'The connection is kept up from now on; nobody has to do anything.';

const wayOf = (how: unknown) =>
  typeof how === 'string' && Object.hasOwn(ways, how) ? (ways[how] ?? null) : 'The customer approved the access at the provider.';

/** What a new authorization lacks of what was asked for, if anything. */
function lacking(missing: unknown, why: string | null): Pick<Told, 'why' | 'next'> {
  const scopes = Array.isArray(missing) ? missing.filter((scope) => typeof scope === 'string') : [];
  if (scopes.length === 0) return { why, next: stays };
  return {
    why: `${why === null ? '' : `${why} `}Not all of the permissions that were asked for were granted; these are missing: ${scopes.join(', ')}.`,
    next: 'It works with the others. To ask for the missing ones again, make a new link for this connection; the customer has to allow them there.',
  };
}

function failing({ error, next_attempt_in }: Data): Told {
  const { why, next } = ofRefresh(error);
  const wait = spoken(next_attempt_in);
  const again = `It is tried again by itself${wait === undefined ? '' : `, the next time in about ${wait}`}.`;
  return {
    what: 'The token of the connection could not be renewed.',
    why,
    next: next === null ? `${again} The customer need not do anything.` : `${next} ${again}`,
  };
}

function refreshed({ expires_in }: Data): Told {
  const life = spoken(expires_in);
  return {
    what: 'The token of the connection was renewed.',
    why: life === undefined ? null : `Tokens of this provider come to an end; the new one lives for ${life}.`,
    next: 'It is renewed again by itself in time.',
  };
}

function recovered({ failing_since }: Data): Told {
  const since = spokenTime(failing_since);
  return {
    what: 'The connection works again.',
    why: `The provider renewed the token${since === undefined ? '' : `, after it had not done so since ${since}`}.`,
    next: stays,
  };
}

const disabledFor: Readonly<Record<string, string>> = {
  gone: 'The receiver said that it is gone for good.',
  failing: 'The receiver has taken no message for days.',
};

const tellers: Record<EventType, (data: Data) => Told> = {
  'connect_link.created': () => ({ what: 'A link for connecting an account was made.', why: null, next: 'The customer opens it in a browser.' }),
  'connect_link.opened': () => ({ what: 'The customer opened the link.', why: null, next: 'The customer goes on to the provider.' }),
  'connect_link.authorizing': () => ({
    what: 'The customer was sent to the provider.',
    why: null,
    next: 'The customer signs in there, approves the access, and comes back.',
  }),
  'connect_link.connected': () => ({ what: 'The customer finished the link, and the account is connected.', why: null, next: null }),
  'connect_link.failed': ({ error }) => ({ what: 'The account was not connected.', ...ofLink(error) }),
  'connection.created': ({ how, missing_scopes }) => ({ what: 'The connection was made.', ...lacking(missing_scopes, wayOf(how)) }),
  'connection.reconnected': ({ missing_scopes }) => ({
    what: 'The account was connected again.',
    ...lacking(missing_scopes, 'The customer approved the access at the provider once more.'),
  }),
  'connection.refreshed': refreshed,
  'connection.refresh_failing': failing,
  'connection.recovered': recovered,
  'connection.reauthorization_required': ({ reason }) => ({ what: 'The connection has stopped working.', ...ofReason(reason) }),
  'connection.revoked': () => ({
    what: 'The provider has ended the access.',
    why: 'The connection was deleted, and the provider was told.',
    next: null,
  }),
  'connection.revocation_failed': () => ({
    what: 'The provider has not ended the access.',
    why: 'The connection was deleted, but the provider did not answer, refused, or has no way to be told.',
    next: 'The customer can remove the access in the settings of the account at the provider.',
  }),
  'connection.deleted': ({ next }) => ({
    what: 'The connection was deleted, with everything that was stored for it.',
    why: 'Somebody asked for it.',
    next: typeof next === 'string' ? next : null,
  }),
  'integration.misconfigured': () => ({ what: 'The provider does not accept this service any more.', ...ofRefresh('misconfigured') }),
  'integration.recovered': () => ({
    what: 'The provider is asked again in the name of this service.',
    why: 'The settings were corrected, or the provider accepted them again.',
    next: 'The connections go on by themselves.',
  }),
  'webhook_endpoint.disabled': ({ reason }) => ({
    what: 'Messages are no longer sent to one of the receivers.',
    why: (typeof reason === 'string' && Object.hasOwn(disabledFor, reason) ? disabledFor[reason] : undefined) ?? null,
    next: 'An administrator corrects the receiver, switches it on again, and has what was missed sent once more.',
  }),
};

const isEventType = (type: string): type is EventType => eventTypes.some((known) => known === type);

/** What an event says: what happened, why, and what comes next. */
export function tell({ type, data }: Pick<EventRecord, 'type' | 'data'>): Told {
  if (!isEventType(type)) return { what: 'Something happened that this version has no words for.', why: null, next: null };
  return tellers[type](data);
}
