import type { Store } from '../../broker/store.ts';
import { GrantryError } from '../../protocol/errors.ts';

/**
 * In which project each method of the store works. Those that work in one run on a connection that sees the rows of that project alone (Postgres's row-level
 * security, migration `project-rows`): the second line behind the `project_id` in every statement. For the others it says why they see all.
 * A method that is not in here does not compile.
 */

type Record = { project_id: string };
type Arguments<Method> = Method extends (...given: infer Given) => unknown ? Given : never;

/** `first`: the first argument is the project. `first or all`: or null, for all of them. `record`: it has the project in it. */
type Scope<Method> =
  | (Arguments<Method> extends [string, ...unknown[]] ? 'first' : never)
  | (Arguments<Method> extends [infer First, ...unknown[]] ? (null extends First ? 'first or all' : never) : never)
  | (Arguments<Method> extends [Record, ...unknown[]] ? 'record' : never)
  | { all: string };

type Groups = { [Group in keyof Store as Store[Group] extends (...given: never[]) => unknown ? never : Group]: Store[Group] };
export type Scopes = { [Group in keyof Groups]: { [Method in keyof Groups[Group]]: Scope<Groups[Group][Method]> } };

const ofRoot = { all: 'The root key asks, for all projects.' };
const bySecret = { all: 'What is presented is a secret of 256 bits, and the row says whose it is.' };
const ofJob = { all: 'A job: its payload names a row, and the row says whose it is.' };
const sweeping = { all: 'A sweep over all projects.' };
const tokenPath = { all: 'The token path: no round trip more. The statement ties the connection to the project of the key.' };
const together = { all: 'Refreshes of several projects share one statement; each row in it is tied to its own.' };
const ofFlow = { all: 'A step of a flow whose link was found by a secret of 256 bits.' };

const ofRotation = { all: 'A rotation goes through the rows of all projects, each with its own key.' };
const ofChain = { all: 'One chain of all projects; each entry says whose it is.' };

export const scopes: Scopes = {
  audit: { list: 'first or all', pend: ofChain, forget: ofChain, count: ofChain, chain: ofChain, head: ofChain },
  projects: { get: 'first', update: 'first', list: ofRoot, insert: ofRoot, remove: ofRoot },
  apiKeys: {
    insert: 'record',
    get: 'first',
    list: 'first',
    name: 'first',
    update: 'first',
    replace: 'first',
    remove: 'first',
    findByHash: bySecret,
    used: sweeping,
  },
  dataKeys: {
    list: 'first',
    insert: 'record',
    stillInUse: 'first',
    find: { all: 'A ciphertext names its key, and the key says whose it is; that is compared.' },
    canary: ofRoot,
    setCanary: ofRoot,
  },
  keyUpkeep: {
    unturned: sweeping,
    turn: ofRotation,
    wrappedOtherwise: sweeping,
    rewrap: ofRotation,
    replaceCanary: ofRoot,
    currentOf: ofRotation,
    counts: ofRoot,
    list: ofRoot,
    masterKeysInUse: sweeping,
    destroyRetired: sweeping,
  },
  rotations: { begin: ofRoot, beginClearing: sweeping, reopen: ofRotation, latest: ofRoot, take: ofRotation, save: ofRotation },
  sealedRows: { count: ofRotation, heads: ofRotation, read: ofRotation, replace: ofRotation, countByHead: ofRotation },
  damagedSecrets: { note: ofRotation, forgetMended: ofRotation, list: ofRoot },
  providers: { current: 'first', version: 'first', listCurrent: 'first', currentVersions: 'first', history: 'first', put: 'first', remove: 'first' },
  integrations: {
    insert: 'record',
    get: 'first',
    list: 'first',
    update: 'first',
    setStatus: 'record',
    resume: 'first',
    takeTrial: 'first',
    isRefusedElsewhere: 'record',
    remove: 'first',
  },
  links: {
    insert: 'record',
    get: 'first',
    takeNonce: 'first',
    byToken: bySecret,
    consumeState: bySecret,
    consumeByBrowser: bySecret,
    consumeByLink: ofFlow,
    byId: ofFlow,
    open: ofFlow,
    begin: ofFlow,
    keepPending: ofFlow,
    release: ofFlow,
    waitAgain: ofFlow,
    holdForConfirmation: ofFlow,
    fail: ofFlow,
    expireOverdue: sweeping,
  },
  tests: { add: ofFlow, steps: ofFlow, end: ofFlow },
  ledger: { record: { all: 'A code counts as seen in whatever project it was.' } },
  connections: {
    insert: 'record',
    renew: 'first',
    get: 'first',
    list: 'first',
    setMetadata: 'first',
    requireReauthorization: 'first',
    remove: 'first',
    endExpired: sweeping,
  },
  tokens: { byKey: tokenPath, byProject: tokenPath },
  refreshes: {
    read: together,
    claim: together,
    commit: together,
    fail: together,
    postpone: ofJob,
    due: sweeping,
    handOutAgain: sweeping,
    counts: sweeping,
  },
  revocations: { queue: 'record', get: ofJob, claimDue: sweeping, postpone: ofJob, done: ofJob },
  probes: { used: sweeping, due: sweeping, refused: 'record', postpone: sweeping },
  events: { list: 'first' },
  webhooks: {
    insertEndpoint: 'record',
    getEndpoint: 'first',
    listEndpoints: 'first',
    updateEndpoint: 'first',
    rotateSecrets: 'first',
    removeEndpoint: 'first',
    getDelivery: 'first',
    listDeliveries: 'first',
    redeliver: 'first',
    due: sweeping,
    handOutAgain: sweeping,
    read: ofJob,
    postpone: ofJob,
    begin: ofJob,
    succeed: ofJob,
    fail: ofJob,
    giveUp: ofJob,
    disable: ofJob,
  },
  idempotency: { begin: 'first', finish: 'first', abandon: 'first' },
  housekeeping: { sweep: sweeping },
};

/** The project that a call of a method works in; null for all. Throws `internal_error` when it does not say. */
export function projectOfCall(scope: string | { all: string }, [first]: readonly unknown[]): string | null {
  if (typeof scope === 'object') return null;
  const given = scope === 'record' && typeof first === 'object' && first !== null && 'project_id' in first ? first.project_id : first;
  if (typeof given === 'string') return given;
  if (scope === 'first or all' && given === null) return null;
  throw new GrantryError('internal_error', { detail: 'A method of the store was not told its project.' });
}
