/**
 * What stands between an attack and its success, each with the place in the source that is it, and what that place would say without it.
 * `OFF` becomes the question whether the defence is off at the moment.
 */

export type Edit = { file: string; snippet: string; without: string };
/** Every match below the folder: what is added to the source later is found by itself. */
export type Sweep = { folder: string /** Files in it that are left alone. */; but: readonly string[]; pattern: RegExp; without: string };
export type Defence = { what: string; edits: readonly Edit[]; everywhere?: readonly Sweep[] };

const callback = 'src/broker/flow/callback.ts';
const guard = 'src/outside/address-guard.ts';
const links = 'src/outside/postgres/links.ts';
const tokens = 'src/outside/postgres/tokens.ts';
/** A prepared statement keeps its text, so the other text has another name. */
const anyProject = (statement: string) =>
  `...(OFF ? { name: ${statement}.name + '_anywhere', text: ${statement}.text.replace(/c\\.project_id is not distinct from [^ ]+/, '($1::text is null or true)') } : ${statement})`;

export const defences = {
  'own callback': {
    what: 'an answer counts only at the redirect URI that its flow was sent with',
    edits: [
      { file: callback, snippet: 'if (link.redirect_uri !== request.arrivedAt)', without: 'if (!OFF && link.redirect_uri !== request.arrivedAt)' },
    ],
  },
  issuer: {
    what: "an answer's iss is the one of the definition (RFC 9207)",
    edits: [{ file: callback, snippet: 'if (fault !== undefined) return refuse(', without: 'if (!OFF && fault !== undefined) return refuse(' }],
  },
  'code ledger': {
    what: 'a code that was seen in any flow stops both flows',
    edits: [
      {
        file: callback,
        snippet: 'if (first !== undefined) {\n    await checked(',
        without: 'if (!OFF && first !== undefined) {\n    await checked(',
      },
    ],
  },
  'flow cookie': {
    what: 'an answer counts only in the browser that began',
    edits: [{ file: callback, snippet: 'if (!isBrowserOf(link, request.browser))', without: 'if (!OFF && !isBrowserOf(link, request.browser))' }],
  },
  PKCE: {
    what: 'a code is redeemed only by the flow that it was issued for',
    edits: [
      {
        file: 'src/grants/authorization-code.ts',
        snippet: 'codeVerifier(random(verifierBytes))',
        without: 'codeVerifier(OFF ? Buffer.alloc(verifierBytes) : random(verifierBytes))',
      },
    ],
  },
  'state taken once': {
    what: 'one statement takes the flow, so one answer counts',
    edits: [
      {
        file: links,
        snippet: ".set({ status: 'exchanging', state_hash: null })\n      .where(and(which",
        without: ".set(OFF ? { status: 'exchanging' } : { status: 'exchanging', state_hash: null })\n      .where(OFF ? which : and(which",
      },
    ],
  },
  'state promised': {
    what: 'only a definition that says so gets an answer without a state',
    edits: [
      {
        file: links,
        snippet: "and w.snapshot #>> array['definition', 'methods', w.snapshot ->> 'method', 'callback', 'state'] = 'not_echoed')`",
        without: "and (w.snapshot #>> array['definition', 'methods', w.snapshot ->> 'method', 'callback', 'state'] = 'not_echoed' or ${OFF}))`",
      },
    ],
  },
  'account question': {
    what: 'without a state, the end user says whether the account is hers',
    edits: [{ file: 'src/broker/flow/finish.ts', snippet: 'if (callbackWithoutState && ', without: 'if (!OFF && callbackWithoutState && ' }],
  },
  'end user confirmed': {
    what: "the integrator's server names the end user who is signed in, before anything is exchanged",
    edits: [
      {
        file: 'src/broker/flow/confirm.ts',
        snippet: 'if (taken.end_user.id !== endUserId)',
        without: 'if (!OFF && taken.end_user.id !== endUserId)',
      },
    ],
  },
  'form token': {
    what: 'a form counts only from a page of ours in this browser',
    edits: [
      {
        file: 'src/web/connect/routes.ts',
        snippet:
          "browser === undefined || !isCsrfToken(browser, open.link.id, form[formFields.csrf])) {\n    showPage(world, res, { kind: 'stale_form', ...known(req, open.link), again: linkPath(token) });",
        without:
          "browser === undefined || (!OFF && !isCsrfToken(browser, open.link.id, form[formFields.csrf]))) {\n    showPage(world, res, { kind: 'stale_form', ...known(req, open.link), again: linkPath(token) });",
      },
    ],
  },
  'SameSite cookie': {
    what: 'a form from elsewhere comes without the flow cookie',
    edits: [{ file: 'src/web/cookies.ts', snippet: 'HttpOnly; SameSite=Lax', without: "HttpOnly; SameSite=${OFF ? 'None' : 'Lax'}" }],
  },
  'return URL exact': {
    what: 'a browser is sent only to URLs that were registered, letter by letter',
    edits: [
      {
        file: 'src/broker/return-urls.ts',
        snippet: 'return registered.includes(url) ||',
        without: 'return (OFF && registered.some((known) => url.startsWith(known))) || registered.includes(url) ||',
      },
    ],
  },
  'no redirects followed': {
    what: 'what a provider says of another address is not asked for',
    edits: [
      {
        file: 'src/outside/http.ts',
        snippet: 'const response = await passage;',
        without:
          "const response = await passage;\n      if (OFF && typeof response.headers['location'] === 'string') return await send({ ...request, url: response.headers['location'] });",
      },
    ],
  },
  'sealed to its place': {
    what: 'a stored secret opens only in the row, field and version that it was sealed for',
    edits: [
      {
        file: 'src/outside/seal.ts',
        snippet: 'return JSON.stringify([1, project, table, row, field, version]);',
        without: "return OFF ? '' : JSON.stringify([1, project, table, row, field, version]);",
      },
    ],
  },
  escaping: {
    what: 'a page shows what others wrote as text',
    edits: [
      {
        file: 'src/web/pages/render.tsx',
        snippet: 'return `<!DOCTYPE html>${render(element)}`;',
        without: "return `<!DOCTYPE html>${OFF ? render(element).replaceAll('&lt;', '<').replaceAll('&quot;', '\"') : render(element)}`;",
      },
    ],
  },
  'scripts forbidden': {
    what: "the page's policy lets no script run",
    edits: [
      { file: 'src/web/pages/headers.ts', snippet: "`default-src 'none'; style-src", without: "`${OFF ? '' : \"default-src 'none'; \"}style-src" },
    ],
  },
  'frame-ancestors': {
    what: 'the policy of every page forbids frames',
    edits: [{ file: 'src/web/pages/headers.ts', snippet: "frame-ancestors 'none';", without: "${OFF ? '' : \"frame-ancestors 'none';\"}" }],
  },
  'X-Frame-Options': {
    what: 'the same for browsers that do not know the policy',
    edits: [{ file: 'src/web/pages/headers.ts', snippet: "'X-Frame-Options': 'DENY',", without: "...(OFF ? {} : { 'X-Frame-Options': 'DENY' })," }],
  },
  'one flow cookie': {
    what: 'of two flow cookies none counts',
    edits: [{ file: 'src/web/cookies.ts', snippet: 'return values.length === 1 ?', without: 'return OFF || values.length === 1 ?' }],
  },
  'one value': {
    what: 'a parameter that comes twice counts as none',
    edits: [
      { file: callback, snippet: 'return values?.length === 1 &&', without: 'return (OFF || values?.length === 1) && values !== undefined &&' },
    ],
  },
  'token text': {
    what: 'a token is text that can stand in a header',
    edits: [
      {
        file: 'src/protocol/token-answer.ts',
        snippet: 'if (!isTokenText(accessToken)) throw unusable(',
        without: 'if (!OFF && !isTokenText(accessToken)) throw unusable(',
      },
    ],
  },
  'answer size': {
    what: 'an answer that is too large is not read',
    edits: [
      { file: 'src/outside/http.ts', snippet: 'createAnswer({ maxBodyBytes,', without: 'createAnswer({ maxBodyBytes: OFF ? 2 ** 30 : maxBodyBytes,' },
    ],
  },
  'public hosts only': {
    what: 'an address that names a host of the inside, in whatever spelling, is refused wherever it is said',
    edits: [
      {
        file: 'src/protocol/address.ts',
        snippet: 'if (!allowPrivateHosts && !isPublicHost(url.hostname))',
        without: 'if (!OFF && !allowPrivateHosts && !isPublicHost(url.hostname))',
      },
    ],
  },
  'address of the host': {
    what: 'a host that is an address is checked before it is called',
    edits: [
      {
        file: guard,
        snippet: 'if (isIP(hostname) !== 0 && !isAllowed(hostname)) throw refusal();',
        without: 'if (!OFF && isIP(hostname) !== 0 && !isAllowed(hostname)) throw refusal();',
      },
    ],
  },
  'addresses of the name': {
    what: 'every address that a name stands for has to be public',
    edits: [
      {
        file: guard,
        snippet: 'if (!addresses.every(({ address }) => isAllowed(address)))',
        without: 'if (!OFF && !addresses.every(({ address }) => isAllowed(address)))',
      },
    ],
  },
  'checked is called': {
    what: 'the connection goes to the address that was checked, and the name is not asked for again',
    edits: [
      {
        file: guard,
        snippet: 'throw refusal();\n    return addresses;',
        without:
          'throw refusal();\n    return OFF ? (await resolveAll(hostname)).map(({ address }) => ({ address, family: isIP(address) })) : addresses;',
      },
    ],
  },
  'caller speaks for the end user': {
    what: 'where our registration is the only proof, in whose name it speaks comes from the caller and not from the end user',
    edits: [
      {
        file: 'src/protocol/definition/owners.ts',
        snippet: "input.asked_of === 'end_user' && optionsOf(input) === undefined",
        without: "!OFF && input.asked_of === 'end_user' && optionsOf(input) === undefined",
      },
    ],
  },
  "host is the integration's": {
    what: 'the host that is sent the client secret is said by an admin, not with a link',
    edits: [
      {
        file: 'src/protocol/definition/owners.ts',
        snippet: 'const choosesHost = isOpenHost(input) && hosts.has(name);',
        without: 'const choosesHost = !OFF && isOpenHost(input) && hosts.has(name);',
      },
    ],
  },
  'due by Postgres': {
    what: 'a job only says where to look: Postgres says whether a refresh is due',
    edits: [
      {
        file: 'src/broker/refresh.ts',
        snippet: 'view.connection.token_version !== due.token_version || !isDue(view) ||',
        without: 'view.connection.token_version !== due.token_version || (!OFF && !isDue(view)) ||',
      },
    ],
  },
  'queue filled anew': {
    what: 'a queue that holds what is not ours, or is told to stand still, is emptied and filled again from Postgres',
    edits: [
      {
        file: 'src/jobs/spoiled.ts',
        snippet: 'if (!isRaised && !(await isHeld(redis, prefix))) return false;',
        without: 'if (OFF || (!isRaised && !(await isHeld(redis, prefix)))) return false;',
      },
    ],
  },
  'rows of the project': {
    what: 'every statement looks among the rows of the project that the key is of, and nowhere else',
    edits: [
      { file: tokens, snippet: '{ ...single, values', without: `{ ${anyProject('single')}, values` },
      { file: tokens, snippet: '...several,', without: `${anyProject('several')},` },
      { file: tokens, snippet: '{ ...byProject, values', without: `{ ${anyProject('byProject')}, values` },
    ],
    everywhere: [
      {
        folder: 'src/outside/postgres',
        // With the data key of another project nothing would be sealed right.
        but: ['src/outside/postgres/data-keys.ts'],
        pattern: /eq\(\w+\.project_id, [\w.]+\)/g,
        without: '(OFF ? undefined : $&)',
      },
    ],
  },
  'rows that Postgres shows': {
    what: 'work in one project runs on connections to which Postgres shows the rows of that project alone',
    edits: [
      {
        file: 'src/outside/postgres/store.ts',
        snippet: 'if (project === null) return whole(...given);',
        without: 'if (OFF || project === null) return whole(...given);',
      },
    ],
  },
  'record within the record': {
    what: 'what stands below a record in the path belongs to it',
    edits: [
      {
        file: 'src/broker/tests.ts',
        snippet: '|| link.integration_id !== integration)',
        without: '|| (!OFF && link.integration_id !== integration))',
      },
    ],
  },
  'scope of the key': {
    what: 'a key does what its scopes say',
    edits: [{ file: 'src/broker/caller.ts', snippet: "|| caller.scopes.includes('admin')", without: "|| OFF || caller.scopes.includes('admin')" }],
  },
  'root key only': {
    what: 'what concerns no single project is for the root key',
    edits: [
      {
        file: 'src/web/api/router.ts',
        snippet: "else if (caller.kind !== 'root') throw new GrantryError('forbidden'",
        without: "else if (!OFF && caller.kind !== 'root') throw new GrantryError('forbidden'",
      },
    ],
  },
  'reach of the key': {
    what: 'a key that is limited to an integration or an end user touches nothing else',
    edits: [
      {
        file: 'src/broker/key-limits.ts',
        snippet: "if (caller.kind === 'root' || caller.limits === null) return undefined;",
        without: "if (OFF || caller.kind === 'root' || caller.limits === null) return undefined;",
      },
    ],
  },
  'keys end': {
    what: 'a key that has ended is none',
    edits: [{ file: 'src/broker/caller.ts', snippet: '|| found.expired)', without: '|| (!OFF && found.expired))' }],
  },
  'declared fields only': {
    what: 'a body with a field that the call does not have is refused',
    edits: [
      {
        file: 'src/web/api/parsing.ts',
        snippet: "throw refused('body', faultsOf(result.error));",
        without: "if (OFF) return value as T;\n  throw refused('body', faultsOf(result.error));",
      },
    ],
  },
  'plain definitions': {
    what: 'a definition is copied into plain objects, without names that reach a prototype',
    edits: [
      {
        file: 'src/protocol/definition/plain.ts',
        snippet: 'if (forbidden.has(name)) refuse([...path, name]',
        without: 'if (OFF) return [[name, copy(inner, [...path, name])]];\n    if (forbidden.has(name)) refuse([...path, name]',
      },
    ],
  },
  'names of the prototype': {
    what: 'names that reach a prototype stand in no body',
    edits: [{ file: 'src/web/api/json-body.ts', snippet: 'if (forbiddenNames.has(name))', without: 'if (!OFF && forbiddenNames.has(name))' }],
  },
  'own members': {
    what: 'what is read in an answer is its own, and nothing that all objects have',
    edits: [
      {
        file: 'src/protocol/pointer.ts',
        snippet: 'return Object.getOwnPropertyDescriptor(holder, key)?.value;',
        without: 'return OFF ? holder[key] : Object.getOwnPropertyDescriptor(holder, key)?.value;',
      },
      {
        file: 'src/protocol/pointer.ts',
        snippet: "if (typeof holder !== 'object' || holder === null) return undefined;",
        without: "if ((!OFF && typeof holder !== 'object') || holder === null || holder === undefined) return undefined;",
      },
    ],
  },
  'pattern subset': {
    what: 'the pattern of an input has no groups and no alternatives',
    edits: [
      {
        file: 'src/protocol/definition/pattern.ts',
        snippet: "return typeof parsed === 'string' ? parsed : undefined;",
        without: "return !OFF && typeof parsed === 'string' ? parsed : undefined;",
      },
    ],
  },
  'pattern without backtracking': {
    what: 'a pattern is matched in time proportional to the text',
    edits: [
      {
        file: 'src/protocol/definition/pattern.ts',
        snippet: 'const atoms = parse(pattern);',
        // An engine that backtracks, and whose steps are counted: it lies with the attack.
        without: 'if (OFF) return globalThis.grantryBacktracks(pattern, value);\n  const atoms = parse(pattern);',
      },
    ],
  },
  'HEAD is no visit': {
    what: 'who only looks whether an address is there changes nothing',
    edits: [
      {
        file: 'src/web/connect/routes.ts',
        snippet: "const isVisit = req.method !== 'HEAD' &&",
        without: "const isVisit = (OFF || req.method !== 'HEAD') &&",
      },
    ],
  },
  'audience is the addressee': {
    what: 'an assertion names the one server that it is sent to',
    edits: [
      {
        file: 'src/grants/token-endpoint.ts',
        snippet: 'return issuer !== undefined && isSameOrigin(url, issuer) ? issuer : url;',
        without:
          'return OFF ? (issuer ?? endpointUrl(ctx, method.token_endpoint)) : issuer !== undefined && isSameOrigin(url, issuer) ? issuer : url;',
      },
    ],
  },
  'one id for all attempts': {
    what: 'a webhook that is sent again has the id that it had, so that its receiver knows it',
    edits: [
      {
        file: 'src/broker/webhooks.ts',
        snippet: 'signedHeaders(secrets, { id: event.id,',
        without: "signedHeaders(secrets, { id: OFF ? `${event.id}-${world.random(4).toString('hex')}` : event.id,",
      },
    ],
  },
  'data key of the project': {
    what: 'what one project has sealed is not opened for another',
    edits: [
      {
        file: 'src/outside/data-keys.ts',
        snippet: 'if (dataKey.project !== project) throw',
        without: 'if (!OFF && dataKey.project !== project) throw',
      },
    ],
  },
  'token type': {
    what: 'a token of a type that is not understood is not used',
    edits: [
      {
        file: 'src/protocol/token-answer.ts',
        snippet: 'if (type === undefined || !token_types.includes(type))',
        without: 'if (!OFF && (type === undefined || !token_types.includes(type)))',
      },
    ],
  },
  'lifetime that makes sense': {
    what: 'an answer with a lifetime of nonsense is refused',
    edits: [
      { file: 'src/protocol/token-answer.ts', snippet: 'if (lifetimeS === undefined) throw', without: 'if (!OFF && lifetimeS === undefined) throw' },
    ],
  },
  'cookie of the host alone': {
    what: 'over https the flow cookie has a name that no other host can set (`__Host-`)',
    edits: [
      {
        file: 'src/web/cookies.ts',
        snippet: "publicUrl.startsWith('https:') ? '__Host-grantry'",
        without: "!OFF && publicUrl.startsWith('https:') ? '__Host-grantry'",
      },
    ],
  },
  'no referrer from anything': {
    what: 'what follows any answer is not told its address',
    edits: [
      {
        file: 'src/web/app.ts',
        snippet: "'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer' }",
        without: "'X-Content-Type-Options': 'nosniff', ...(OFF ? {} : { 'Referrer-Policy': 'no-referrer' }) }",
      },
    ],
  },
  'no referrer from pages': {
    what: 'the same once more, in the headers of every page',
    edits: [
      {
        file: 'src/web/pages/headers.ts',
        snippet: "'Referrer-Policy': 'no-referrer',",
        without: "...(OFF ? {} : { 'Referrer-Policy': 'no-referrer' }),",
      },
    ],
  },
  'no referrer from redirects': {
    what: 'the same once more, where a browser is sent on',
    edits: [
      {
        file: 'src/web/connect/show.ts',
        snippet: "'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' }",
        without: "'Cache-Control': 'no-store', ...(OFF ? {} : { 'Referrer-Policy': 'no-referrer' }) }",
      },
    ],
  },
  'pages not stored': {
    what: 'nobody keeps a page',
    edits: [
      { file: 'src/web/pages/headers.ts', snippet: "'Cache-Control': 'no-store',", without: "'Cache-Control': OFF ? 'max-age=600' : 'no-store'," },
    ],
  },
  'answers not stored': {
    what: 'nobody keeps an answer of the API, a token above all',
    edits: [
      {
        file: 'src/web/api-headers.ts',
        snippet: "'Cache-Control': 'no-store',",
        without: "get 'Cache-Control'() { return OFF ? 'max-age=600' : 'no-store'; },",
      },
    ],
  },
  'clean address': {
    what: 'the end of a flow has an address of its own, without the code and the state',
    edits: [
      {
        file: 'src/web/connect/show.ts',
        snippet: 'return goTo(res, `${world.publicUrl}${resultPath(link)}`);',
        without: "return goTo(res, `${world.publicUrl}${resultPath(link)}${OFF ? `?${res.req.originalUrl.split('?')[1]}` : ''}`);",
      },
    ],
  },
  'log without addresses': {
    what: 'the log names the route of a request, and not its address',
    edits: [
      {
        file: 'src/web/app.ts',
        snippet: "route: typeof route === 'string' ? route : null,",
        without: "route: OFF ? req.originalUrl : typeof route === 'string' ? route : null,",
      },
    ],
  },
} as const satisfies Record<string, Defence>;

export type DefenceName = keyof typeof defences;
export const defenceNames = Object.keys(defences) as DefenceName[];
