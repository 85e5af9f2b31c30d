import type { IntegrationRecord, LinkRecord } from '../../src/broker/records.ts';
import type { Links, Store } from '../../src/broker/store.ts';
import type { Definition } from '../../src/protocol/definition/schema.ts';

/** A model of what a flow asks of the Postgres store between its start and its exchange. One method is one atomic step. */
export type FlowStore = {
  store: Store;
  links: Map<string, LinkRecord>;
  integrations: Map<string, IntegrationRecord>;
  providers: Map<string, Definition>;
  /** Codes that were seen, each with the link that it was seen in first. */
  ledger: Map<string, string>;
};

const finished = { state_hash: null, pending_sealed: null, answer_sealed: null, nonce_hash: null, inputs_sealed: null } as const;

function flowLinks(links: FlowStore['links'], now: () => Date): Partial<Links> {
  const change = (row: LinkRecord | undefined, to: Partial<LinkRecord>): LinkRecord | undefined => {
    if (row === undefined) return undefined;
    const changed = { ...row, ...to };
    links.set(row.id, changed);
    return changed;
  };
  const living = (row: LinkRecord) =>
    row.finished_at === null &&
    row.status === 'authorizing' &&
    row.state_hash !== null &&
    row.state_expires_at !== null &&
    row.state_expires_at > now();
  const consume = (rows: LinkRecord[]) => (rows.length === 1 ? change(rows[0], { status: 'exchanging', state_hash: null }) : undefined);
  const all = () => [...links.values()];
  const held = (id: string, attempt: number, status: LinkRecord['status']) => {
    const row = links.get(id);
    return row?.attempt === attempt && row.status === status && row.finished_at === null ? row : undefined;
  };
  return {
    byToken: async (hash) => all().find((row) => row.token_hash.equals(hash)),
    byId: async (id) => links.get(id),
    open: async (id) => void change(links.get(id), { status: 'opened' }),
    async begin(id, browserHash, stateHash, stateTtlS) {
      const row = links.get(id);
      const state_expires_at = new Date(now().getTime() + stateTtlS * 1_000);
      return change(row, {
        status: 'authorizing',
        browser_hash: browserHash,
        state_hash: stateHash,
        state_expires_at,
        attempt: (row?.attempt ?? 0) + 1,
        pending_sealed: null,
      });
    },
    keepPending: async (id, attempt, sealed) => change(held(id, attempt, 'authorizing'), { pending_sealed: sealed }) !== undefined,
    consumeState: async (hash) => consume(all().filter((row) => living(row) && row.state_hash?.equals(hash))),
    consumeByBrowser: async (hash, redirectUri) =>
      consume(
        all().filter((row) => {
          const method = row.snapshot.definition.methods[row.snapshot.method];
          const waits = method !== undefined && 'callback' in method && method.callback.state === 'not_echoed';
          return living(row) && waits && row.browser_hash?.equals(hash) && row.redirect_uri === redirectUri;
        }),
      ),
    holdForConfirmation: async (id, attempt, sealed, nonceHash) =>
      change(held(id, attempt, 'exchanging'), { status: 'confirming', answer_sealed: sealed, nonce_hash: nonceHash }) !== undefined,
    async fail(id, code, detail) {
      const row = links.get(id);
      if (row === undefined || row.finished_at !== null) return false;
      change(row, { ...finished, status: 'failed', error_code: code, error_detail: detail, finished_at: now() });
      return true;
    },
  };
}

export function createFlowStore(now: () => Date): FlowStore {
  const links = new Map<string, LinkRecord>();
  const integrations = new Map<string, IntegrationRecord>();
  const providers = new Map<string, Definition>();
  const ledger = new Map<string, string>();
  // What is not here is not asked for before the exchange has succeeded, and would be missed with a crash.
  const store = {
    links: flowLinks(links, now),
    integrations: { get: async (_project: string, id: string) => integrations.get(id), setStatus: async () => true },
    providers: {
      async current(project_id: string, provider_id: string) {
        const definition = providers.get(provider_id);
        return definition && { project_id, provider_id, version: 1, definition };
      },
    },
    projects: { get: async () => undefined },
    ledger: {
      async record(hash: Buffer, link: string) {
        const first = ledger.get(hash.toString('hex'));
        if (first === undefined) ledger.set(hash.toString('hex'), link);
        return first;
      },
    },
  } as unknown as Store;
  return { store, links, integrations, providers, ledger };
}
