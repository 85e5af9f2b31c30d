import { sql } from 'drizzle-orm';
import type { Store } from '../../broker/store.ts';
import { auditStore } from './audit.ts';
import { guarded } from './away.ts';
import { integrationStore, providerStore } from './catalog.ts';
import { connectionStore } from './connections.ts';
import { dataKeyStore, keyUpkeepStore } from './data-keys.ts';
import type { Postgres } from './database.ts';
import { eventStore } from './events.ts';
import { codeLedgerStore, linkStore } from './links.ts';
import { probeStore } from './probes.ts';
import { apiKeyStore, projectStore } from './projects.ts';
import { refreshStore } from './refreshes.ts';
import { revocationStore } from './revocations.ts';
import { damagedSecretsStore, rotationStore } from './rotations.ts';
import { sealedRowsStore } from './sealed-rows.ts';
import { testStore } from './tests.ts';
import { tokenStore } from './tokens.ts';
import { housekeepingStore, idempotencyStore } from './upkeep.ts';
import { webhookStore } from './webhooks.ts';

/** The store over one pool. Every method throws `unavailable` while Postgres is away. */
export function createStore({ db, pool }: Postgres): Store {
  return {
    audit: guarded(auditStore(db)),
    projects: guarded(projectStore(db)),
    apiKeys: guarded(apiKeyStore(db, pool)),
    dataKeys: guarded(dataKeyStore(db)),
    keyUpkeep: guarded(keyUpkeepStore(db)),
    rotations: guarded(rotationStore(db)),
    sealedRows: guarded(sealedRowsStore(pool)),
    damagedSecrets: guarded(damagedSecretsStore(db)),
    providers: guarded(providerStore(db)),
    integrations: guarded(integrationStore(db, pool)),
    links: guarded(linkStore(db)),
    tests: guarded(testStore(db)),
    ledger: guarded(codeLedgerStore(db)),
    connections: guarded(connectionStore(db)),
    tokens: guarded(tokenStore(pool)),
    refreshes: guarded(refreshStore(db, pool)),
    revocations: guarded(revocationStore(db)),
    probes: guarded(probeStore(db)),
    events: guarded(eventStore(db)),
    webhooks: guarded(webhookStore(db)),
    idempotency: guarded(idempotencyStore(db)),
    housekeeping: guarded(housekeepingStore(db)),
    async ping() {
      await db.execute(sql`select 1`);
    },
  };
}
