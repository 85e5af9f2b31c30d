import { z } from 'zod';
import { eventTypes, testStepNames } from '../../broker/records.ts';
import { warningCodes } from '../../protocol/definition/warnings.ts';
import { durationS, isDuration } from '../../protocol/duration.ts';
import { errorTable } from '../../protocol/errors.ts';

/** Shapes of the API's requests and answers; parsed with, answered with, and published in /openapi.json. */

export const idText = z.string().min(1).max(100);
export const slug = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/, 'Lower-case letters, digits, and inner - or _; 64 at most.')
  .describe('An id of your choice.');
const time = z.iso.datetime().describe('RFC 3339, UTC.');
const timeOrNull = time.nullable();
/** What Postgres takes, and nobody has a use for the rest. */
export const instant = z.iso
  .datetime({ offset: true, abort: true })
  .refine((text) => Date.parse(text) >= 0 && Date.parse(text) < Date.UTC(9999, 0), 'From 1970 to 9998.')
  .transform((text) => new Date(text));
const shortText = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'No control characters.');
const scopeList = z.array(z.string().min(1).max(300)).max(200);
/** The longest that an input may be: a private key. What the others may have is said of each. */
const inputValue = z.string().max(8_000);
const values = z.record(z.string().max(64), inputValue);

function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null || limit === 0) return 0;
  return 1 + Math.max(0, ...Object.values(value).map((inner) => depthOf(inner, limit - 1)));
}
const metadata = z
  .record(z.string().max(100), z.unknown())
  .refine((given) => depthOf(given, 12) < 12, 'Nested too deeply (10 at most).')
  .refine((given) => JSON.stringify(given).length <= 16_384, 'Larger than 16 KiB.')
  .describe("The integrator's own data; handed back as it is.");

export const page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional().describe('next_cursor of the page before.'),
});

export const endUser = z
  .strictObject({
    id: shortText.describe("The integrator's id of this person."),
    email: z.email().max(300).optional(),
    display_name: shortText.optional(),
    organization_id: shortText.optional(),
  })
  .meta({ id: 'EndUser' });

export const listOf = <T extends z.ZodType>(item: T) => z.object({ data: z.array(item), next_cursor: z.string().nullable() });

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    code: z.string().describe('Stable; docs/errors.md lists them.'),
    request_id: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457.' });

// Projects and keys
export const projectBody = z.strictObject({ id: slug, name: shortText, return_urls: z.array(z.string().max(2000)).max(100).default([]) });
export const projectPatch = z.strictObject({ name: shortText.optional(), return_urls: z.array(z.string().max(2000)).max(100).optional() });
export const project = z.object({ id: z.string(), name: z.string(), return_urls: z.array(z.string()), created_at: time }).meta({ id: 'Project' });

const keyScope = z.enum(['connect', 'tokens', 'admin']);
export const keyLimits = z
  .strictObject({
    integration: idText.optional().describe('The only integration whose links, connections and tokens it reaches.'),
    end_user: shortText.optional().describe('The id of the only end user whose links, connections and tokens it reaches.'),
    addresses: z.array(z.string().max(100)).min(1).max(50).optional().describe('IP addresses and ranges in CIDR notation that it may be used from.'),
  })
  .meta({ id: 'KeyLimits', description: 'Without a member the key is not limited in that.' });
const keyEnd = z.iso.datetime({ offset: true });
export const apiKeyBody = z.strictObject({
  name: shortText,
  scopes: z.array(keyScope).min(1).max(3),
  limits: keyLimits.optional(),
  expires_at: keyEnd.optional(),
});
export const apiKeyPatch = z.strictObject({
  name: shortText.optional(),
  limits: keyLimits.nullable().optional(),
  expires_at: keyEnd.nullable().optional(),
});
export const apiKeyRotation = z.strictObject({
  overlap: z.number().int().min(0).max(2_592_000).default(86_400).describe('Seconds for which the old key works too.'),
});
export const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(keyScope),
    limits: keyLimits,
    expires_at: timeOrNull,
    replaced_by: z.string().nullable().describe('The key that takes its place.'),
    last_used_at: timeOrNull.describe('To the minute, and told a minute late.'),
    created_at: time,
  })
  .meta({ id: 'ApiKey' });
export const currentKey = z
  .object({
    id: z.string().describe('`root` for the root key.'),
    scopes: z.array(z.string()),
    limits: keyLimits,
    project: z.string(),
    public_url: z.string().describe('The broker, as browsers know it.'),
  })
  .meta({ id: 'CurrentKey' });
export const newApiKey = apiKey.extend({ key: z.string().describe('Shown this once.') }).meta({ id: 'NewApiKey' });

// Providers
export const providerSummary = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z.string(),
    categories: z.array(z.string()),
    documentation: z.string().nullable(),
    source: z.enum(['shipped', 'own']),
    version: z.number().int().nullable(),
    methods: z.array(z.object({ id: z.string(), grant: z.string() })),
  })
  .meta({ id: 'ProviderSummary' });
export const provider = providerSummary.extend({ definition: z.record(z.string(), z.unknown()) }).meta({ id: 'Provider' });
const faults = z
  .array(z.object({ pointer: z.string(), detail: z.string() }))
  .describe('Why it would be refused today, such as by a rule that came later; empty when it is sound.');
export const shownProvider = provider.extend({ faults }).meta({ id: 'ShownProvider' });
const warning = z
  .object({ pointer: z.string(), code: z.enum(warningCodes), detail: z.string() })
  .meta({ id: 'DefinitionWarning', description: 'What is allowed and still worth a second look.' });
export const storedProvider = provider.extend({ warnings: z.array(warning) }).meta({ id: 'StoredProvider' });
export const providerVersion = z
  .object({
    version: z.number().int(),
    current: z.boolean(),
    made_by: z.object({ id: z.string(), name: z.string() }).nullable().describe('The API key, as it was called then.'),
    created_at: time,
  })
  .meta({ id: 'ProviderVersion' });
export const wholeProviderVersion = providerVersion
  .extend({ definition: z.record(z.string(), z.unknown()), faults })
  .meta({ id: 'WholeProviderVersion' });
export const rollbackBody = z.strictObject({ version: z.number().int().min(1).max(999_999_999) });
export const discoverBody = z.strictObject({
  issuer: z.string().min(1).max(2_000).describe('As the server writes it, letter by letter.'),
  provider: z.string().min(1).max(64).optional().describe('The definition to compare with; without it, the one of the same issuer.'),
});
const said = z.union([z.string(), z.array(z.string())]).nullable();
export const discovery = z
  .object({
    issuer: z.string(),
    metadata_url: z.string(),
    definition: z.record(z.string(), z.unknown()).describe('A draft; nothing is stored.'),
    yaml: z.string().describe('The same, for PUT.'),
    scopes_supported: z.array(z.string()).describe('A hint for scopes.default.'),
    notes: z.array(z.string()),
    warnings: z.array(warning),
    existing: providerSummary
      .extend({ differences: z.array(z.object({ pointer: z.string(), ours: said, theirs: said })) })
      .nullable()
      .describe('The definition that there is already, and where it says something else.'),
  })
  .meta({ id: 'Discovery' });
const shownRequest = z.object({
  step: z.string(),
  method: z.string(),
  url: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string().nullable(),
});
export const validation = z
  .object({
    valid: z.literal(true),
    id: z.string(),
    warnings: z.array(warning),
    methods: z.array(z.object({ id: z.string(), grant: z.string(), requests: z.array(shownRequest) })),
  })
  .meta({ id: 'Validation' });

// Operations
export const diagnostics = z
  .object({
    public_url: z.string(),
    checks: z.array(
      z.object({
        check: z.enum(['configuration', 'database', 'redis', 'keys', 'project_keys']),
        outcome: z.enum(['ok', 'warning', 'failed']),
        what: z.string(),
        advice: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'Diagnostics' });

// Integrations
const clientSecret = z.string().min(1).max(4000);
const clientSecrets = z
  .array(clientSecret)
  .min(1)
  .max(5)
  .refine((given) => new Set(given).size === given.length, 'The same secret stands twice.')
  .describe('Instead of client_secret: several, tried in this order, while a secret is being replaced at the provider. Write-only.');
const isPause = (text: string) => isDuration(text) && durationS(text) >= 3_600 && durationS(text) <= 365 * 86_400;
const probePause = z
  .string()
  .max(30)
  .refine(isPause, 'An ISO 8601 duration of days, hours, minutes and seconds, from PT1H to P365D.')
  .describe('Connections that nobody has used for so long (ISO 8601, as P7D) are probed; null: never.');
const integrationFields = {
  client_id: z.string().max(1000).optional(),
  scopes: scopeList.optional(),
  inputs: values.optional(),
  callback: z.enum(['shared', 'own']).optional(),
  verification: z.enum(['browser', 'user']).optional(),
  client_secrets: clientSecrets.optional(),
  probe_unused_after: probePause.nullish(),
};
const jwk = z.record(z.string().max(40), z.unknown());
const keyFields = {
  private_key_pem: z
    .string()
    .min(1)
    .max(8_000)
    .optional()
    .describe('Instead of private_key_jwk: PKCS #8, PKCS #1 or SEC 1, without a passphrase; alg follows from its kind. Write-only.'),
  private_key_id: z.string().min(1).max(200).optional().describe('kid of private_key_pem; its thumbprint (RFC 7638) when left out.'),
};
export const integrationBody = z.strictObject({
  id: slug,
  provider: z.string().min(1).max(64),
  method: z.string().min(1).max(64).optional(),
  ...integrationFields,
  client_secret: clientSecret.optional().describe('Write-only.'),
  private_key_jwk: jwk.optional().describe('Write-only.'),
  ...keyFields,
});
export const integrationPatch = z.strictObject({
  ...integrationFields,
  inputs: z.record(z.string().max(64), inputValue.nullable()).optional().describe('Merged into those that are there; null removes one (RFC 7396).'),
  client_secret: clientSecret.nullish(),
  private_key_jwk: jwk.nullish(),
  ...keyFields,
});
export const integration = z
  .object({
    id: z.string(),
    provider: z.string(),
    method: z.string(),
    client_id: z.string(),
    has_client_secret: z.boolean(),
    client_secret_count: z.number().int(),
    has_private_key: z.boolean(),
    scopes: z.array(z.string()),
    inputs: z.record(z.string(), z.string()).describe('Without the secret ones.'),
    callback: z.enum(['shared', 'own']),
    redirect_uri: z.string().nullable().describe('To be registered at the provider.'),
    verification: z.enum(['browser', 'user']),
    probe_unused_after: z.string().nullable().describe('ISO 8601 duration.'),
    status: z.enum(['active', 'misconfigured']),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Integration' });

// Connect links
export const linkBody = z.strictObject({
  integration: idText,
  end_user: endUser,
  return_url: z.string().max(2000).optional(),
  scopes: scopeList.optional(),
  inputs: values.optional(),
  connection_id: idText.optional().describe('Renews this connection; asks for its scopes and the ones given here.'),
  verification: z.enum(['browser', 'user']).optional(),
  expires_in: z.number().int().min(60).max(604_800).default(900).describe('Seconds.'),
  metadata: metadata.optional(),
  skip_page: z.boolean().default(false).describe('With verification "user": go to the provider at once.'),
  endpoint: z.enum(['authorization', 'authentication']).default('authorization').describe('Which page of an OAuth 1.0a provider.'),
});
const linkStatus = z.enum(['pending', 'opened', 'authorizing', 'confirming', 'connected', 'failed', 'expired']);
export const newLink = z.object({ id: z.string(), url: z.string(), status: linkStatus, expires_at: time }).meta({ id: 'NewConnectLink' });
export const link = z
  .object({
    id: z.string(),
    integration: z.string(),
    end_user: endUser,
    status: linkStatus,
    connection_id: z.string().nullable(),
    missing_scopes: z.array(z.string()).describe('Of its connection: scopes that were asked for and not granted.'),
    error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    metadata: z.record(z.string(), z.unknown()),
    created_at: time,
    expires_at: time,
  })
  .meta({ id: 'ConnectLink' });
export const testBody = z.strictObject({
  scopes: linkBody.shape.scopes,
  inputs: linkBody.shape.inputs,
  expires_in: linkBody.shape.expires_in,
  endpoint: linkBody.shape.endpoint,
});
export const newTest = newLink
  .extend({ integration: z.string(), purpose: z.literal('test'), trace: z.string().describe('The path of its trace: GET it.') })
  .meta({ id: 'NewTest' });
const outcome = z.enum(['ok', 'failed', 'skipped']);
const sentRequest = z
  .object({ method: z.string(), url: z.string(), headers: z.record(z.string(), z.string()), body: z.string().nullable() })
  .meta({ id: 'TestRequest', description: 'A request, readable, secrets masked.' });
const gottenAnswer = z
  .object({
    status: z.number().int(),
    headers: z.record(z.string(), z.string()),
    body: z.object({
      written: z.enum(['json', 'form', 'html', 'other', 'nothing']),
      characters: z.number().int(),
      members: z.array(
        z.object({
          at: z.string().describe('JSON pointer.'),
          type: z.enum(['text', 'number', 'boolean', 'null', 'list', 'object']),
          length: z.number().int().nullable(),
          value: z.string().nullable().describe('Only of what is known to hold no secret.'),
        }),
      ),
      more: z.boolean(),
    }),
  })
  .meta({ id: 'TestAnswer', description: 'An answer: its shape, and the values that are known to hold no secret.' });
const testStep = z
  .object({
    step: z.enum(testStepNames),
    outcome,
    what: z.string().describe('What happened.'),
    look: z.string().optional().describe('After a failure: what in the definition or the registration to look at.'),
    request: sentRequest.optional(),
    answer: gottenAnswer.optional(),
    checks: z.array(z.object({ check: z.string(), outcome: z.enum(['ok', 'failed']) })).optional(),
    parameters: z.array(z.object({ name: z.string(), value: z.string() })).optional(),
    understood: z
      .object({
        token_type: z.string(),
        expires_in: z.number().nullable().describe('Seconds.'),
        refresh_token: z.boolean(),
        refresh_expires_in: z.number().nullable(),
        refreshable: z.boolean(),
        scopes: z.array(z.string()),
        missing_scopes: z.array(z.string()),
        extras: z.record(z.string(), z.string()),
      })
      .optional(),
    at: time,
  })
  .meta({ id: 'TestStep' });
export const test = z
  .object({
    id: z.string(),
    integration: z.string(),
    purpose: z.literal('test'),
    status: linkStatus,
    outcome: z.enum(['waiting', 'passed', 'failed']),
    error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    next: z.string().nullable().describe('While it waits: what happens next.'),
    steps: z.array(testStep).describe('In order; kept for a day.'),
    created_at: time,
    expires_at: time,
  })
  .meta({ id: 'Test' });
export const confirmBody = z.strictObject({ nonce: z.string().min(1).max(200), end_user_id: shortText });

// Connections
const connectionFields = { integration: idText, end_user: endUser, metadata: metadata.optional(), inputs: values.optional() };
export const connectionBody = z.union([
  z.strictObject({
    ...connectionFields,
    grant: z.enum(['client_credentials', 'jwt_bearer', 'credential_exchange', 'api_key', 'basic']),
    scopes: scopeList.optional(),
  }),
  z.strictObject({
    ...connectionFields,
    import: z.strictObject({
      access_token: z.string().min(1).max(16_384),
      refresh_token: z.string().min(1).max(16_384).optional(),
      expires_at: z.iso.datetime({ offset: true }).optional(),
      scopes: scopeList.optional(),
      oauth_token_secret: z.string().min(1).max(16_384).optional(),
      extras: z.record(z.string().max(64), z.string().max(2000)).optional(),
    }),
  }),
]);
export const connectionPatch = z.strictObject({ metadata });
const connectionStatus = z.enum(['active', 'refresh_failing', 'reauthorization_required', 'revoked']);
export const connectionQuery = page.extend({
  integration: idText.optional(),
  end_user: z.string().max(300).optional(),
  organization: z.string().max(300).optional(),
  status: connectionStatus.optional(),
  error: z.enum(Object.keys(errorTable)).optional().describe('The code of the last error.'),
  failing_before: instant.optional().describe('Failing since earlier than this.'),
  refreshed_before: instant.optional().describe('Last refreshed (or, when never, made) before this.'),
  next_refresh_before: instant.optional().describe('A refresh is planned before this.'),
  expires_before: instant.optional().describe('The token ends before this.'),
  missing_scopes: z
    .enum(['true', 'false'], 'Must be true or false.')
    .transform((text) => text === 'true')
    .optional()
    .describe('true: scopes that were asked for were not granted.'),
  unused_since: instant.optional().describe('No token was handed out since (or, when never, it was made before).'),
});
export const connection = z
  .object({
    id: z.string(),
    integration: z.string(),
    provider: z.string(),
    end_user: endUser,
    status: connectionStatus,
    reason: z.string().nullable(),
    scopes: z.array(z.string()),
    missing_scopes: z.array(z.string()),
    expires_at: timeOrNull,
    created_at: time,
    last_refreshed_at: timeOrNull,
    next_refresh_at: timeOrNull.describe('While it is failing or put off: the next attempt. Null: none is planned.'),
    refresh_count: z.number().int(),
    failing_since: timeOrNull,
    last_error: z.object({ code: z.string(), at: z.string(), retryable: z.boolean() }).nullable(),
    last_used_at: timeOrNull.describe('When a token was last handed out, to the hour.'),
    account: z.string().nullable().describe("The provider's name of the account, where it is known."),
    metadata: z.record(z.string(), z.unknown()),
    extras: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Connection' });

export const tokenQuery = z.strictObject({
  min_ttl: z.coerce.number().int().min(0).max(86_400).default(60).describe('Seconds the token must still live.'),
  force: z
    .enum(['true', 'false', '1', '0'], 'Must be true or false.')
    .default('false')
    .transform((text) => text === 'true' || text === '1'),
});
const presentation = z.discriminatedUnion('in', [
  z.object({ in: z.enum(['header', 'query']), name: z.string(), value: z.string() }),
  z.object({ in: z.literal('path'), value: z.string().describe("Between the API's base address and the path of the call, as /bot123:abc.") }),
]);
export const token = z
  .object({
    connection_id: z.string(),
    token_type: z.string(),
    access_token: z.string().optional(),
    username: z.string().optional(),
    password: z.string().optional(),
    oauth_token: z.string().optional(),
    oauth_token_secret: z.string().optional(),
    oauth_consumer_key: z.string().optional(),
    expires_at: timeOrNull,
    scopes: z.array(z.string()),
    missing_scopes: z.array(z.string()),
    extras: z.record(z.string(), z.string()),
    present: presentation.nullable(),
  })
  .meta({ id: 'Token' });

export const signBody = z.strictObject({
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']),
  url: z.string().min(1).max(8000),
  form: z
    .union([z.record(z.string().max(500), z.string().max(20_000)), z.array(z.tuple([z.string().max(500), z.string().max(20_000)])).max(1000)])
    .optional()
    .describe('Parameters of an application/x-www-form-urlencoded body.'),
});
export const signed = z.object({ url: z.string(), headers: z.record(z.string(), z.string()) }).meta({ id: 'SignedRequest' });
export const probed = z.object({ outcome: z.enum(['works', 'refused', 'unclear']), status: z.number().int() }).meta({ id: 'ProbeResult' });

const eventTypeList = z
  .string()
  .max(1_000)
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(eventTypes)));
export const eventQuery = page.extend({
  type: eventTypeList.optional().describe('One type, or several with commas between.'),
  after: instant.optional().describe('Not before this time.'),
  before: instant.optional().describe('Before this time.'),
});
export const projectEventQuery = eventQuery.extend({
  connection_id: idText.optional().describe('Of this connection, which may have been deleted.'),
});

export const event = z
  .object({
    id: z.string(),
    type: z.string(),
    what: z.string().describe('What happened, in a sentence for a person.'),
    why: z.string().nullable(),
    next: z.string().nullable().describe('What happens by itself now, or what somebody has to do.'),
    integration: z.string().nullable(),
    connect_link: z.string().nullable(),
    connection_id: z.string().nullable(),
    data: z.record(z.string(), z.unknown()),
    created_at: time,
  })
  .meta({ id: 'Event' });
