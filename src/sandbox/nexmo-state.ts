import type { Fault } from './fault.ts';

/** What a test may change at the OAuth 1.0a provider while it runs. */
export type NexmoSwitches = {
  /**
   * Nexmo ends the present access token when a new request token is asked for. At that moment no user is known yet,
   * so every access token of the consumer ends (only below /oauth, as at Nexmo).
   */
  requestTokenEnds: 'all_of_consumer' | 'none';
  /** oauth_callback_confirmed in the answer with the request token (below /oauth1). */
  confirmed: 'true' | 'false' | 'missing';
  /** Whose oauth_token comes with the callback. */
  callbackToken: 'own' | 'wrong';
  /** The callback's parameter that says the user declined; it carries the request token. */
  deniedParameter: string;
  /** How far this server's clock is ahead, in seconds; beyond 300 every request is `timestamp_refused`. */
  clockSkewS: number;
  /** What goes wrong at request_token and access_token. */
  fault: Fault;
};

export type NexmoCounters = {
  request_token: number;
  authorize: number;
  authenticate: number;
  access_token: number;
  tokens_issued: number;
  tokens_ended: number;
  /** Refused requests by problem: signature_invalid, nonce_used, timestamp_refused, ... */
  refused: Record<string, number>;
  api_ok: number;
};

export function initialNexmoSwitches(): NexmoSwitches {
  return {
    requestTokenEnds: 'all_of_consumer',
    confirmed: 'true',
    callbackToken: 'own',
    deniedParameter: 'denied',
    clockSkewS: 0,
    fault: { kind: 'none' },
  };
}

export function initialNexmoCounters(): NexmoCounters {
  return { request_token: 0, authorize: 0, authenticate: 0, access_token: 0, tokens_issued: 0, tokens_ended: 0, refused: {}, api_ok: 0 };
}
