import { createHmac } from 'node:crypto';
import { startFlow } from '../../src/broker/flow/start.ts';
import { integrationPlace } from '../../src/broker/places.ts';
import type { IntegrationRecord, LinkRecord } from '../../src/broker/records.ts';
import { newSecret, sha256 } from '../../src/broker/secrets.ts';
import type { World } from '../../src/broker/world.ts';
import { parseDefinitionValue } from '../../src/protocol/definition/parse.ts';
import type { DoorRequest } from '../../src/protocol/door.ts';
import { linkOf } from '../simulation/link.ts';
import { createPlainSeal } from '../simulation/seal.ts';
import type { Chance } from './chance.ts';
import { createFlowStore, type FlowStore } from './flow-store.ts';

/** Flows of every kind, each begun by the code that begins flows, and waiting for its callback. */

const endpoints = {
  grant: 'authorization_code',
  authorization_endpoint: 'https://as.acme.com/authorize',
  token_endpoint: 'https://as.acme.com/token',
  scopes: { default: ['read'] },
};
const oauth1 = {
  grant: 'oauth1',
  request_token_endpoint: 'https://as.acme.com/request_token',
  authorization_endpoint: 'https://as.acme.com/authorize',
  access_token_endpoint: 'https://as.acme.com/access_token',
};

/** By name; each with what its method says, and with what its true callback holds besides code and state. */
const methods = {
  issuer: { ...endpoints, issuer: 'https://as.acme.com', callback: { keep: ['realmId'] } },
  plain: endpoints,
  stateless: { ...endpoints, callback: { state: 'not_echoed' } },
  signed: { ...endpoints, callback: { signature: { algorithm: 'hmac_sha256_hex', param: 'hmac' } } },
  sharded: {
    ...endpoints,
    inputs: { shard: { label: 'Shard', enum: ['eu', 'us'] } },
    token_endpoint: 'https://{shard}.acme.com/token',
    callback: { inputs: { shard: { param: 'home', behind: '.acme.com' } }, denied_by: { reason: 'deny' } },
  },
  renamed: { ...endpoints, callback: { code: 'auth_code', scope: 'granted' } },
  verified: { ...endpoints, issuer: 'https://as.acme.com' },
  oauth1,
  'oauth1 stateless': { ...oauth1, callback: { state: 'not_echoed' } },
} as const;
export type Variant = keyof typeof methods;
export const variants = Object.keys(methods) as Variant[];

const issuer = 'https://as.acme.com';
export const clientSecret = 'client-secret';
const requestToken = 'request-token';

/** A flow as those see it who have to do with it: its browser, and the provider that sends it back. */
export type Flow = {
  variant: Variant;
  /** What `iss` has to say; undefined where there must be none. */
  issuer: string | undefined;
  link: LinkRecord;
  browser: string;
  state: string;
  code: string;
  /** The parameters that the provider sends back. */
  truth: [string, string][];
};

export type Flows = {
  world: World;
  model: FlowStore;
  /** Two of each kind, in browsers of their own. */
  flows: Flow[];
  /** What was sent to token endpoints since the last `reset`. */
  sent: DoorRequest[];
  /** As if nothing had arrived yet. */
  reset(): void;
};

type Asked = 'publicUrl' | 'allowPrivateHosts' | 'store' | 'seal' | 'door' | 'log' | 'now' | 'elapsedMs' | 'sleep' | 'random';

const now = () => new Date('2026-11-20T12:00:00Z');
const publicUrl = 'https://connect.acme.com';

function integrationOf(variant: Variant): Omit<IntegrationRecord, 'client_secret_sealed'> {
  return {
    project_id: 'default',
    id: variant,
    provider_id: 'acme',
    method: 'web',
    client_id: 'client',
    further_secrets_sealed: null,
    private_key_sealed: null,
    inputs_sealed: null,
    secret_version: 1,
    scopes: ['read'],
    callback: 'own',
    context: 'context',
    verification: 'browser',
    status: 'active',
    trial_at: null,
    probe_unused_after_s: null,
    created_at: now(),
    updated_at: now(),
  };
}

/** What the provider sends back for a flow. */
function truthOf({ variant, state, code }: Omit<Flow, 'truth'>): [string, string][] {
  switch (variant) {
    case 'issuer':
      return [
        ['code', code],
        ['state', state],
        ['iss', issuer],
        ['realmId', '123 45'],
      ];
    case 'verified':
      return [
        ['iss', issuer],
        ['code', code],
        ['state', state],
      ];
    case 'plain':
      return [
        ['state', state],
        ['code', code],
        ['scope', 'read'],
      ];
    case 'stateless':
      return [['code', code]];
    case 'signed': {
      const message = `code=${code}&shop=x y&state=${state}`;
      return [
        ['shop', 'x y'],
        ['hmac', createHmac('sha256', clientSecret).update(message).digest('hex')],
        ['code', code],
        ['state', state],
      ];
    }
    case 'sharded':
      return [
        ['code', code],
        ['home', 'eu.acme.com'],
        ['state', state],
      ];
    case 'renamed':
      return [
        ['auth_code', code],
        ['granted', 'read write'],
        ['state', state],
      ];
    case 'oauth1':
      return [
        ['state', state],
        ['oauth_token', code],
        ['oauth_verifier', 'verifier'],
      ];
    case 'oauth1 stateless':
      return [
        ['oauth_token', code],
        ['oauth_verifier', 'verifier'],
      ];
  }
}

export async function startFlows(chance: Chance): Promise<Flows> {
  const model = createFlowStore(now);
  const sent: DoorRequest[] = [];
  const quiet = () => {};
  let tokens = 0;
  // What is not here, a flow does not ask for before its exchange has succeeded; it would be missed with a crash.
  const asked: Pick<World, Asked> = {
    publicUrl,
    allowPrivateHosts: false,
    store: model.store,
    seal: createPlainSeal(),
    async door(request) {
      if (request.url.endsWith('/request_token')) {
        tokens += 1;
        const body = `oauth_token=${requestToken}-${tokens}&oauth_token_secret=secret&oauth_callback_confirmed=true`;
        return { status: 200, headers: {}, body };
      }
      sent.push(request);
      return { status: 400, headers: {}, body: '{"error":"invalid_grant"}' };
    },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    now,
    elapsedMs: () => 0,
    sleep: async () => {},
    random: chance.bytes,
  };
  const world = asked as World;

  const flows: Flow[] = [];
  for (const variant of [...variants, ...variants]) flows.push(await begun(world, model, variant, flows.length));
  const links = new Map(model.links);
  const reset = () => {
    for (const [id, row] of links) if (model.links.get(id) !== row) model.links.set(id, row);
    model.ledger.clear();
    sent.length = 0;
  };
  return { world, model, flows, sent, reset };
}

async function begun(world: World, model: FlowStore, variant: Variant, n: number): Promise<Flow> {
  const definition = parseDefinitionValue({ id: 'acme', name: 'Acme', methods: { web: methods[variant] } }, { allowPrivateHosts: false });
  const integration = integrationOf(variant);
  const client_secret_sealed = await world.seal.seal(integrationPlace(integration, 'client_secret'), clientSecret);
  model.integrations.set(variant, { ...integration, provider_id: variant, client_secret_sealed });
  model.providers.set(variant, definition);
  const token = newSecret(world);
  const id = `lnk_${n}`;
  model.links.set(id, {
    ...linkOf('', variant),
    id,
    reconnects: null,
    token_hash: sha256(token),
    status: 'opened',
    scopes: ['read'],
    verification: variant === 'verified' ? 'user' : 'browser',
    snapshot: { definition, provider_version: null, method: 'web', client_id: integration.client_id },
    redirect_uri: `${publicUrl}/oauth/callback/${variant.replace(' ', '-')}${n}`,
    expires_at: new Date(world.now().getTime() + 900_000),
  });
  const browser = newSecret(world);
  // The state is the first secret that is drawn from now on.
  const drawn: Buffer[] = [];
  const random = (bytes: number) => {
    const made = world.random(bytes);
    drawn.push(made);
    return made;
  };
  const started = await startFlow({ ...world, random }, { token, browser, given: {} });
  const link = model.links.get(id);
  const state = drawn[0]?.toString('base64url') ?? '';
  if (started.kind !== 'redirect' || link === undefined || !link.state_hash?.equals(sha256(state)))
    throw new Error(`${variant} did not begin: ${started.kind}`);
  const code = variant.startsWith('oauth1') ? (new URL(started.url).searchParams.get('oauth_token') ?? '') : `code-${n}`;
  const flow = { variant, issuer: variant === 'issuer' || variant === 'verified' ? issuer : undefined, link, browser, state, code };
  return { ...flow, truth: truthOf(flow) };
}
