import { sql } from 'drizzle-orm';
import type { Store } from '../../broker/store.ts';
import { integrationStore, providerStore } from './catalog.ts';
import { connectionStore } from './connections.ts';
import type { Postgres } from './database.ts';
import { eventStore } from './events.ts';
import { codeLedgerStore, linkStore } from './links.ts';
import { apiKeyStore, dataKeyStore, projectStore } from './projects.ts';
import { refreshStore, revocationStore } from './refreshes.ts';
import { tokenStore } from './tokens.ts';
import { housekeepingStore, idempotencyStore } from './upkeep.ts';

/** The store over one pool. */
export function createStore({ db, pool }: Postgres): Store {
  return {
    projects: projectStore(db),
    apiKeys: apiKeyStore(db),
    dataKeys: dataKeyStore(db),
    providers: providerStore(db),
    integrations: integrationStore(db),
    links: linkStore(db),
    ledger: codeLedgerStore(db),
    connections: connectionStore(db),
    tokens: tokenStore(pool),
    refreshes: refreshStore(db, pool),
    revocations: revocationStore(db),
    events: eventStore(db),
    idempotency: idempotencyStore(db),
    housekeeping: housekeepingStore(db),
    async ping() {
      await db.execute(sql`select 1`);
    },
  };
}
