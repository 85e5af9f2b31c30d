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
import { projectOfCall, scopes } from './project-scope.ts';
import { createProjectSessions, type Session } from './project-sessions.ts';
import { apiKeyStore, projectStore } from './projects.ts';
import { refreshStore } from './refreshes.ts';
import { revocationStore } from './revocations.ts';
import { damagedSecretsStore, rotationStore } from './rotations.ts';
import { sealedRowsStore } from './sealed-rows.ts';
import { testStore } from './tests.ts';
import { tokenStore } from './tokens.ts';
import { housekeepingStore, idempotencyStore } from './upkeep.ts';
import { webhookStore } from './webhooks.ts';

type Groups = Omit<Store, 'ping'>;

const groupsOver = ({ db, pool }: Session): Groups => ({
  audit: auditStore(db),
  projects: projectStore(db),
  apiKeys: apiKeyStore(db, pool),
  dataKeys: dataKeyStore(db),
  keyUpkeep: keyUpkeepStore(db),
  rotations: rotationStore(db),
  sealedRows: sealedRowsStore(pool),
  damagedSecrets: damagedSecretsStore(db),
  providers: providerStore(db),
  integrations: integrationStore(db, pool),
  links: linkStore(db),
  tests: testStore(db),
  ledger: codeLedgerStore(db),
  connections: connectionStore(db),
  tokens: tokenStore(pool),
  refreshes: refreshStore(db, pool),
  revocations: revocationStore(db),
  probes: probeStore(db),
  events: eventStore(db),
  webhooks: webhookStore(db),
  idempotency: idempotencyStore(db),
  housekeeping: housekeepingStore(db),
});

type Method = (...given: unknown[]) => unknown;

/**
 * The store. What works in one project goes over connections that see that project alone. Every method throws
 * `unavailable` while Postgres is away.
 */
export function createStore(postgres: Postgres): Store {
  const all = groupsOver(postgres);
  const within = createProjectSessions(postgres.narrow, groupsOver);
  const scoped = (group: keyof Groups): object => {
    const methods = Object.entries(scopes[group]).map(([name, scope]): [string, Method] => {
      const whole = Reflect.get(all[group], name) as Method;
      if (typeof scope === 'object') return [name, whole];
      const inProject: Method = async (...given) => {
        const project = projectOfCall(scope, given);
        if (project === null) return whole(...given);
        return within(project, async (groups) => (Reflect.get(groups[group], name) as Method)(...given));
      };
      return [name, inProject];
    });
    return guarded(Object.fromEntries(methods));
  };
  const groups = Object.fromEntries((Object.keys(all) as (keyof Groups)[]).map((group) => [group, scoped(group)])) as unknown as Groups;
  return {
    ...groups,
    async ping() {
      await postgres.db.execute(sql`select 1`);
    },
  };
}
