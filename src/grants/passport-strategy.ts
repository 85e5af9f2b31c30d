import passport from 'passport';
import OAuth2Strategy from 'passport-oauth2';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';

/**
 * passport runs passport-oauth2 so that only its protocol is used: a fresh strategy for every call, handed over by itself and never
 * registered under a name that other requests share; no session, no profile, none of its I/O.
 * It is given a request of ours that holds nothing but a checked code, because on its own it follows unchecked callbacks.
 */

/** What passport-oauth2 calls of its OAuth 2.0 client; npm `oauth` never sends anything. */
type TokenClient<T> = {
  readonly _authorizeUrl: string;
  readonly _accessTokenUrl: string;
  readonly _clientId: string;
  getOAuthAccessToken(
    code: unknown,
    params: Record<string, string>,
    done: (error: unknown, accessToken?: string, refreshToken?: string, results?: T) => void,
  ): void;
};

type Handler = ReturnType<typeof passport.authenticate>;
type Outcome<T> = { kind: 'redirect'; location: string } | { kind: 'success'; results: T };

type Flow = {
  authorizationEndpoint: string;
  tokenEndpoint: string;
  clientId: string;
  redirectUri: string;
};

type Run<T> = Flow & {
  query: Record<string, string>;
  scope?: string | undefined;
  state?: string;
  params?: Readonly<Record<string, string>>;
  codeVerifier?: string | undefined;
  redeem?: (code: string, params: Readonly<Record<string, string>>) => Promise<T>;
};

/** The parameters of the authorization request under their standard names, as the strategy redirects with them. */
export async function authorizationParameters(
  flow: Flow & { state: string; scope: string | undefined; params: Readonly<Record<string, string>> },
): Promise<ReadonlyMap<string, string>> {
  const outcome = await run<never>({ ...flow, query: {} });
  if (outcome.kind !== 'redirect') throw new GrantryError('internal_error', { detail: 'The strategy did not redirect.' });
  return new Map(new URL(outcome.location).searchParams);
}

/**
 * Lets the strategy redeem a code that the broker has checked, and gives what `redeem` returned, whose own GrantryError passes unchanged.
 * Throws `invalid_callback` when the strategy would begin a new flow.
 *
 * @param redeem is called once, with the code and the token request's parameters under their standard names
 */
export async function redeemCode<T extends { access_token: string }>(
  flow: Flow & { code: string; codeVerifier: string | undefined; redeem: NonNullable<Run<T>['redeem']> },
): Promise<T> {
  const outcome = await run<T>({ ...flow, query: { code: flow.code } });
  if (outcome.kind !== 'success') throw new GrantryError('invalid_callback');
  return outcome.results;
}

function run<T extends { access_token: string }>(flow: Run<T>): Promise<Outcome<T>> {
  if (flow.clientId === '') return Promise.reject(new GrantryError('invalid_client', { detail: 'The integration has no client id.' }));
  return new Promise((resolve, reject) => {
    const strategy = new OAuth2Strategy(
      {
        authorizationURL: flow.authorizationEndpoint,
        tokenURL: flow.tokenEndpoint,
        clientID: flow.clientId,
        clientSecret: '',
        callbackURL: flow.redirectUri,
        skipUserProfile: true,
        ...(flow.scope === undefined ? {} : { scope: flow.scope }),
        store: stateStore(flow),
      },
      // Five parameters: the strategy counts them.
      (_accessToken: string, _refreshToken: string, results: T, _profile: unknown, verified: (error: null, user: object) => void) =>
        verified(null, results),
    );
    Object.assign(strategy, { _oauth2: tokenClient(flow), authorizationParams: () => ({ ...flow.params }) });
    const settled = (error: unknown, results?: T | false | null): void => {
      if (error !== null && error !== undefined) reject(ownError(error));
      else if (results) resolve({ kind: 'success', results });
      else reject(new GrantryError('invalid_callback'));
    };
    // All that passport does with a response when a strategy redirects.
    const response = {
      statusCode: 200,
      setHeader: (name: string, value: string) => name === 'Location' && resolve({ kind: 'redirect', location: value }),
      end: () => {},
    };
    const handler: Handler = passport.authenticate(strategy, { session: false }, settled);
    try {
      handler({ query: flow.query }, response, (error: unknown) => reject(ownError(error)));
    } catch (error) {
      reject(ownError(error));
    }
  });
}

/** The broker made the state and has consumed it; the strategy only has it sent, and gets the verifier (three and four parameters: it counts them). */
function stateStore(flow: { state?: string; codeVerifier?: string | undefined }): OAuth2Strategy.StateStore {
  const store = {
    store: (_request: unknown, _meta: unknown, done: (error: null, state: unknown) => void) => done(null, flow.state),
    verify: (_request: unknown, _state: unknown, _meta: unknown, done: (error: null, ok: unknown, state: unknown) => void) =>
      done(null, flow.codeVerifier ?? true, undefined),
  };
  return store as OAuth2Strategy.StateStore;
}

function tokenClient<T extends { access_token: string }>({ authorizationEndpoint, tokenEndpoint, clientId, redeem }: Run<T>): TokenClient<T> {
  return {
    _authorizeUrl: authorizationEndpoint,
    _accessTokenUrl: tokenEndpoint,
    _clientId: clientId,
    getOAuthAccessToken: (code, params, done) => {
      if (redeem === undefined || typeof code !== 'string') return done(new GrantryError('invalid_callback'));
      redeem(code, params)
        .then((results) => done(null, results.access_token, undefined, results))
        .catch(done);
    },
  };
}

/** The strategy wraps what the token client reports; ours comes out as it went in. */
function ownError(error: unknown): GrantryError {
  if (isGrantryError(error)) return error;
  const inner = error instanceof OAuth2Strategy.InternalOAuthError ? error.oauthError : undefined;
  return isGrantryError(inner) ? inner : new GrantryError('internal_error', { cause: inner ?? error });
}
