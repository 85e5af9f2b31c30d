import { declaredInputs } from '../protocol/definition/inputs.ts';
import type { Definition, Input, Method } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import { unionOf } from '../protocol/scopes.ts';
import { findProvider, methodOf } from './catalog.ts';
import { completeGiven } from './given-inputs.ts';
import { newId } from './ids.ts';
import { redirectUriOf } from './integrations.ts';
import { tooMany } from './limits.ts';
import { connectionInputsPlace, linkInputsPlace } from './places.ts';
import type { ConnectionRecord, EndUser, LinkRecord, NewEvent } from './records.ts';
import { mayReturnTo } from './return-urls.ts';
import { newSecret, openInputs, sealInputs, sha256 } from './secrets.ts';
import type { World } from './world.ts';

export type LinkBody = {
  integration: string;
  end_user: EndUser;
  return_url?: string | undefined;
  scopes?: string[] | undefined;
  inputs?: Record<string, string> | undefined;
  connection_id?: string | undefined;
  verification?: 'browser' | 'user' | undefined;
  expires_in: number;
  metadata?: Record<string, unknown> | undefined;
  skip_page: boolean;
  endpoint: 'authorization' | 'authentication';
};

/** The events of a link: those of a test are nobody's news. */
export const eventsOf = ({ purpose }: Pick<LinkRecord, 'purpose'>, events: NewEvent[]): NewEvent[] => (purpose === 'test' ? [] : events);

const fault = (pointer: string, detail: string) => new GrantryError('invalid_request', { detail, errors: [{ pointer, detail }] });

/** The connection that a link is to renew; undefined when it makes one. */
async function reconnected(world: World, project: string, body: LinkBody): Promise<ConnectionRecord | undefined> {
  if (body.connection_id === undefined) return undefined;
  const connection = await world.store.connections.get(project, body.connection_id);
  if (connection === undefined) throw fault('/connection_id', 'There is no such connection.');
  if (connection.integration_id !== body.integration) throw fault('/connection_id', 'This connection belongs to another integration.');
  if (connection.end_user_id !== body.end_user.id) throw fault('/connection_id', 'This connection belongs to another end user.');
  return connection;
}

/**
 * What only the caller says, as the connection has it: a new authorization is in the same name, and whoever asks for it need not know it any more.
 * Throws `invalid_request` when another one is given.
 */
async function heldInputs(
  world: World,
  connection: ConnectionRecord,
  { definition, method, given }: { definition: Definition; method: Method; given: Readonly<Record<string, string>> },
): Promise<Record<string, string>> {
  const all = await openInputs(world, connectionInputsPlace(connection), connection.inputs_sealed);
  const declared = declaredInputs(definition, method);
  const held = Object.entries(all).filter(([name]) => Object.hasOwn(declared, name) && declared[name]?.asked_of === 'caller');
  const [other] = held.find(([name, value]) => Object.hasOwn(given, name) && given[name] !== value) ?? [];
  if (other !== undefined) throw fault(`/inputs/${other}`, `This connection is of another one. Make a new connection, or leave ${other} out.`);
  return Object.fromEntries(held);
}

const unsaidDetail: Readonly<Record<Input['asked_of'], string>> = {
  end_user: 'is needed.',
  caller: 'has to come with the link: no page asks the end user for it.',
  integration: 'has to be set by the integration, which does not say it yet: change its inputs.',
};

/**
 * Makes a single-use link; everything the flow needs is fixed now. The URL holds a 256-bit token of which only the
 * SHA-256 is kept. Throws `invalid_request` with the pointer of each fault; `rate_limited` when the project makes links too fast, or has too many
 * that nobody finished.
 */
export async function createLink(
  world: World,
  project: string,
  body: LinkBody,
  purpose: LinkRecord['purpose'] = 'connect',
): Promise<{ link: LinkRecord; url: string }> {
  const integration = await world.store.integrations.get(project, body.integration);
  if (integration === undefined) throw fault('/integration', 'There is no such integration.');
  const provider = await findProvider(world, project, integration.provider_id);
  if (provider === undefined) throw fault('/integration', 'The definition of its provider is gone.');
  const { name, method } = methodOf(provider.definition, integration.method);
  // Whoever tests is the admin herself, and nothing is connected.
  const verification = purpose === 'test' ? 'browser' : (body.verification ?? integration.verification);
  if (purpose === 'connect' && integration.verification === 'user' && verification === 'browser')
    throw fault('/verification', 'This integration asks for the verification of the user.');

  const connection = await reconnected(world, project, body);
  const said = body.inputs ?? {};
  const held = connection === undefined ? {} : await heldInputs(world, connection, { definition: provider.definition, method, given: said });
  const { given, missing, faults } = await completeGiven(world, {
    integration,
    definition: provider.definition,
    method,
    given: { ...held, ...said },
  });
  const unsaid = missing
    .filter(({ input }) => input.asked_of !== 'end_user')
    .map(({ name, input }) => ({ pointer: `/inputs/${name}`, detail: `${input.label} ${unsaidDetail[input.asked_of]}` }));
  const errors = [...faults, ...unsaid];
  if (errors.length > 0) throw new GrantryError('invalid_request', { detail: 'The inputs are not valid.', errors });

  if (body.return_url !== undefined) {
    const registered = (await world.store.projects.get(project))?.return_urls ?? [];
    if (!mayReturnTo({ publicUrl: world.publicUrl, registered, url: body.return_url })) {
      throw fault('/return_url', 'This URL is not registered as a return URL of the project.');
    }
  }
  if (verification === 'user' && body.return_url === undefined) throw fault('/return_url', 'With verification "user" a return_url is needed.');
  if (body.skip_page) {
    if (verification !== 'user') throw fault('/skip_page', 'The page can be skipped only with verification "user".');
    if (missing.length > 0) throw fault('/skip_page', `The page is needed: it asks for ${missing.map(({ input }) => input.label).join(', ')}.`);
    if (method.grant !== 'authorization_code' && method.grant !== 'oauth1')
      throw fault('/skip_page', 'This method does not send the browser anywhere.');
  }
  if (body.endpoint === 'authentication' && !(method.grant === 'oauth1' && method.authentication_endpoint !== undefined)) {
    throw fault('/endpoint', 'This provider has no authentication endpoint.');
  }
  const scopes = body.scopes ?? integration.scopes;

  const { kind, resetS } = await world.sharedLimits.take('links', project);
  if (kind === 'refused') throw tooMany('This project has made too many connect links in the last minute.', resetS);

  const token = newSecret(world);
  const identity = { id: newId('lnk'), project_id: project };
  const link = await world.store.links.insert(
    {
      ...identity,
      integration_id: integration.id,
      purpose,
      token_hash: sha256(token),
      end_user: body.end_user,
      return_url: body.return_url ?? null,
      // A new authorization takes the place of the old one, so it is asked for what was asked for before, too.
      scopes: connection === undefined ? scopes : unionOf(connection.requested_scopes, scopes),
      inputs_sealed: await sealInputs(world, linkInputsPlace(identity), given),
      metadata: body.metadata ?? {},
      reconnects: body.connection_id ?? null,
      verification,
      page: body.skip_page ? 'skipped' : 'shown',
      endpoint: body.endpoint,
      snapshot: { definition: provider.definition, provider_version: provider.version, method: name, client_id: integration.client_id },
      redirect_uri: redirectUriOf(world, integration, provider) ?? '',
    },
    {
      expiresInS: body.expires_in,
      mostUnfinished: world.mostPendingLinks,
      events: eventsOf({ purpose }, [
        {
          project_id: project,
          type: 'connect_link.created',
          integration_id: integration.id,
          link_id: identity.id,
          data: { end_user: body.end_user.id },
        },
      ]),
    },
  );
  if (link === undefined)
    throw tooMany(`This project has ${world.mostPendingLinks} connect links that nobody has finished: wait until some are used or expire.`, 60);
  return { link, url: `${world.publicUrl}/connect/${token}` };
}

/** The link as it stands; one whose time is over says so even before it is swept. Throws `not_found`. */
export async function getLink(world: World, project: string, id: string): Promise<LinkRecord> {
  const link = await world.store.links.get(project, id);
  if (link === undefined) throw new GrantryError('not_found');
  return shownLink(world, link);
}

/** What a link has connected; undefined when it has not, or it is deleted. */
export async function connectionOfLink(world: World, { project_id, connection_id }: LinkRecord): Promise<ConnectionRecord | undefined> {
  return connection_id === null ? undefined : world.store.connections.get(project_id, connection_id);
}

/** True when nobody can finish the link any more: at the instant at which its time is over, as Postgres sees it too. */
export function isOverdue(world: Pick<World, 'now'>, link: LinkRecord): boolean {
  if (link.finished_at !== null) return false;
  const now = world.now();
  if (link.status === 'confirming') return link.nonce_expires_at !== null && link.nonce_expires_at <= now;
  if (link.status === 'exchanging') return false;
  return link.expires_at <= now && (link.state_hash === null || link.state_expires_at === null || link.state_expires_at <= now);
}

function shownLink(world: World, link: LinkRecord): LinkRecord {
  return isOverdue(world, link)
    ? { ...link, status: 'expired', error_code: 'link_expired', error_detail: 'Nobody finished the link in time.' }
    : link;
}
