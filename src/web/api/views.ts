import { z } from 'zod';
import type { Provider } from '../../broker/catalog.ts';
import type { Integration } from '../../broker/integrations.ts';
import type { readProvider } from '../../broker/provider-history.ts';
import type { ApiKeyRecord, ConnectionRecord, EventRecord, LinkRecord, ProjectRecord } from '../../broker/records.ts';
import type { ProviderVersionSummary } from '../../broker/store.ts';
import type { Test } from '../../broker/tests.ts';
import { tell } from '../../broker/timeline.ts';
import { durationText } from '../../protocol/duration.ts';
import type * as schemas from './schemas.ts';

/** Records as the API shows them; what is not named here never leaves. */

const iso = (date: Date): string => date.toISOString();
const isoOrNull = (date: Date | null): string | null => (date === null ? null : date.toISOString());

export const projectView = ({ id, name, return_urls, created_at }: ProjectRecord): z.input<typeof schemas.project> => ({
  id,
  name,
  return_urls,
  created_at: iso(created_at),
});

export const apiKeyView = ({ id, name, scopes, limits, expires_at, replaced_by, last_used_at, created_at }: ApiKeyRecord) => ({
  id,
  name,
  scopes,
  limits: limits ?? {},
  expires_at: isoOrNull(expires_at),
  replaced_by,
  last_used_at: isoOrNull(last_used_at),
  created_at: iso(created_at),
});

export const providerSummaryView = ({ definition, version }: Provider): z.input<typeof schemas.providerSummary> => ({
  id: definition.id,
  name: definition.name,
  status: definition.status,
  categories: definition.categories,
  documentation: definition.documentation ?? null,
  source: version === null ? 'shipped' : 'own',
  version,
  methods: Object.entries(definition.methods).map(([id, { grant }]) => ({ id, grant })),
});
export const providerView = (provider: Provider): z.input<typeof schemas.provider> => ({
  ...providerSummaryView(provider),
  definition: provider.definition,
});

/** What a stored document says of itself, whatever it holds. */
const outline = z.object({
  name: z.string().catch(''),
  status: z.string().catch(''),
  categories: z.array(z.string()).catch([]),
  documentation: z.string().nullable().catch(null),
  methods: z.record(z.string(), z.object({ grant: z.string() })).catch({}),
});
export const shownProviderView = ({
  id,
  version,
  definition,
  faults,
}: Awaited<ReturnType<typeof readProvider>>): z.input<typeof schemas.shownProvider> => {
  const { methods, ...said } = outline.parse(definition);
  const source = version === null ? 'shipped' : 'own';
  return {
    id,
    ...said,
    source,
    version,
    methods: Object.entries(methods).map(([name, { grant }]) => ({ id: name, grant })),
    definition,
    faults: [...faults],
  };
};

export const providerVersionView = ({ version, current, made_by, created_at }: ProviderVersionSummary): z.input<typeof schemas.providerVersion> => ({
  version,
  current,
  made_by,
  created_at: iso(created_at),
});

export const integrationView = ({ record, secretCount, inputs, redirectUri }: Integration): z.input<typeof schemas.integration> => ({
  id: record.id,
  provider: record.provider_id,
  method: record.method,
  client_id: record.client_id,
  has_client_secret: record.client_secret_sealed !== null,
  client_secret_count: secretCount,
  has_private_key: record.private_key_sealed !== null,
  scopes: record.scopes,
  inputs,
  callback: record.callback,
  redirect_uri: redirectUri,
  verification: record.verification,
  probe_unused_after: record.probe_unused_after_s === null ? null : durationText(record.probe_unused_after_s),
  status: record.status,
  created_at: iso(record.created_at),
  updated_at: iso(record.updated_at),
});

/** @param missing of the link's connection */
export const linkView = (link: LinkRecord, missing: readonly string[] = []): z.input<typeof schemas.link> => ({
  id: link.id,
  integration: link.integration_id,
  end_user: link.end_user,
  status: link.status === 'exchanging' ? 'authorizing' : link.status,
  connection_id: link.connection_id,
  missing_scopes: [...missing],
  error: link.error_code === null ? null : { code: link.error_code, detail: link.error_detail ?? '' },
  metadata: link.metadata,
  created_at: iso(link.created_at),
  expires_at: iso(link.expires_at),
});

export const testView = ({ link, outcome, next, steps }: Test): z.input<typeof schemas.test> => {
  const { id, integration, status, error, created_at, expires_at } = linkView(link);
  const shown = steps.map(({ step: { understood, ...step }, created_at: at }) => ({
    ...step,
    ...(understood && { understood: { ...understood, scopes: [...understood.scopes], missing_scopes: [...understood.missing_scopes] } }),
    at: iso(at),
  }));
  return { id, integration, purpose: 'test', status, outcome, error, next, steps: shown, created_at, expires_at };
};

export const connectionView = (c: ConnectionRecord): z.input<typeof schemas.connection> => ({
  id: c.id,
  integration: c.integration_id,
  provider: c.provider_id,
  end_user: c.end_user,
  status: c.status,
  reason: c.reason,
  scopes: c.scopes,
  missing_scopes: c.missing_scopes,
  expires_at: isoOrNull(c.expires_at),
  created_at: iso(c.created_at),
  last_refreshed_at: isoOrNull(c.last_refreshed_at),
  next_refresh_at: isoOrNull(c.refresh_due_at),
  refresh_count: c.refresh_count,
  failing_since: isoOrNull(c.failing_since),
  last_error: c.last_error,
  last_used_at: isoOrNull(c.last_used_at),
  account: c.account,
  metadata: c.metadata,
  extras: c.extras,
});

export const eventView = (event: EventRecord): z.input<typeof schemas.event> => ({
  id: event.id,
  type: event.type,
  integration: event.integration_id,
  connect_link: event.link_id,
  connection_id: event.connection_id,
  ...tell(event),
  data: event.data,
  created_at: iso(event.created_at),
});
