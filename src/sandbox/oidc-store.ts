import { boundedMap } from './memory.ts';

/** The authorization server's memory: what it issued, forgotten when it ends, bounded. */

type Payload = Record<string, unknown>;
type Entry = { payload: Payload; endsAt: number };

export type OidcStore = {
  /** One adapter per model, in the shape that oidc-provider asks for. */
  adapter(model: string): {
    upsert(id: string, payload: Payload, expiresInS?: number): Promise<void>;
    find(id: string): Promise<Payload | undefined>;
    findByUid(uid: string): Promise<Payload | undefined>;
    findByUserCode(userCode: string): Promise<undefined>;
    consume(id: string): Promise<void>;
    destroy(id: string): Promise<void>;
    revokeByGrantId(grantId: string): Promise<void>;
  };
  /** Ends every grant of the account, with all its tokens: the user withdrew in the provider's settings. */
  endGrantsOf(account: string): void;
};

/** `clients` finds the registration of a client id; it is asked at each request. */
export function createOidcStore(clients: (id: string) => Payload | undefined): OidcStore {
  const entries = boundedMap<string, Entry>();

  const living = (key: string): Entry | undefined => {
    const entry = entries.get(key);
    if (entry === undefined || entry.endsAt > Date.now()) return entry;
    entries.delete(key);
    return undefined;
  };
  const forget = (fits: (key: string, payload: Payload) => boolean) => {
    for (const [key, { payload }] of entries) if (fits(key, payload)) entries.delete(key);
  };

  return {
    adapter: (model) => ({
      async upsert(id, payload, expiresInS) {
        entries.set(`${model}:${id}`, { payload, endsAt: expiresInS === undefined ? Infinity : Date.now() + expiresInS * 1000 });
      },
      async find(id) {
        return model === 'Client' ? clients(id) : living(`${model}:${id}`)?.payload;
      },
      async findByUid(uid) {
        for (const [key, { payload }] of entries) if (key.startsWith(`${model}:`) && payload.uid === uid) return living(key)?.payload;
        return undefined;
      },
      async findByUserCode() {
        return undefined;
      },
      async consume(id) {
        const entry = living(`${model}:${id}`);
        if (entry !== undefined) entry.payload.consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id) {
        entries.delete(`${model}:${id}`);
      },
      async revokeByGrantId(grantId) {
        forget((key, payload) => key.startsWith(`${model}:`) && payload.grantId === grantId);
      },
    }),
    endGrantsOf(account) {
      forget((key, payload) => !key.startsWith('Client:') && payload.accountId === account);
    },
  };
}
