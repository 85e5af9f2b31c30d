import type { DataKeyStore } from '../broker/seal.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { integrityError } from './jwe.ts';
import type { KeyProvider, WrapContext } from './key-provider.ts';

/** Master keys that projects bring: the data keys of such a project are wrapped by its own key, and by nobody else's. */

export type OwnKey = {
  /** Opens whatever a key of the project's own has wrapped. */
  provider: KeyProvider;
  /** `wrap`: it wraps what is new. `unwrap`: the project has given it up, and the deployment's key wraps. */
  use: 'wrap' | 'unwrap';
  /** The part of it that is in this process, if any: it can be tried without asking anybody. */
  ring: KeyProvider | undefined;
};
/** By project. */
export type OwnKeys = ReadonlyMap<string, OwnKey>;

/** What such a key wraps is kept as `own:<project>:<its text>`: the names of keys may be the same in several projects. */
const form = /^own:([^:]+):(.*)$/s;
type Owned = { project: string; wrapped: string };

/** Whose own key a stored text was wrapped by; undefined: the deployment's. */
export function ownedOf(text: string): Owned | undefined {
  const [, project, wrapped] = form.exec(text) ?? [];
  return project === undefined || wrapped === undefined ? undefined : { project, wrapped };
}

/** The id of a project's own master key among those of all: no id of a ring or a service has spaces. */
const idOf = (project: string, key: string) => `${key} of ${project}`;
/** The other way round; undefined for a key of the deployment's. */
export const projectOfId = (id: string): { key: string; project: string } | undefined => {
  const [, key, project] = /^(\S+) of (\S+)$/.exec(id) ?? [];
  return key === undefined || project === undefined ? undefined : { key, project };
};

const projectOf = ([use, project]: WrapContext): string | undefined => (use === 'data_key' ? project : undefined);

/**
 * Goes by the project that the context names. What the deployment's key has wrapped opens with that until it is wrapped anew; everything that
 * is no data key stays with the deployment's.
 */
export function byProject(deployment: KeyProvider, own: OwnKeys): KeyProvider {
  function wrapping(context: WrapContext): { project: string; provider: KeyProvider } | undefined {
    const project = projectOf(context);
    const key = project === undefined ? undefined : own.get(project);
    return project === undefined || key?.use !== 'wrap' ? undefined : { project, provider: key.provider };
  }

  function opening({ project }: Owned): KeyProvider {
    const key = own.get(project);
    if (key === undefined)
      throw integrityError(
        `The data keys of the project ${JSON.stringify(project)} are wrapped by a key of its own, which GRANTRY_PROJECT_KEYS_FILE does not name.`,
      );
    return key.provider;
  }

  const { holds } = deployment;
  return {
    name: deployment.name,
    kind: deployment.kind,
    async current(context) {
      const mine = context && wrapping(context);
      return mine === undefined ? deployment.current(context) : idOf(mine.project, await mine.provider.current(context));
    },
    async wrap(context, secret) {
      const mine = wrapping(context);
      return mine === undefined ? deployment.wrap(context, secret) : `own:${mine.project}:${await mine.provider.wrap(context, secret)}`;
    },
    async unwrap(context, text) {
      const owned = ownedOf(text);
      if (owned === undefined) return deployment.unwrap(context, text);
      // Nobody's service is asked about what is another one's.
      if (projectOf(context) !== owned.project) throw integrityError('A stored key was wrapped by the key of another project.');
      return opening(owned).unwrap(context, owned.wrapped);
    },
    isOwn: (text) => ownedOf(text) !== undefined || deployment.isOwn(text),
    keyOf(text) {
      const owned = ownedOf(text);
      return owned === undefined ? deployment.keyOf(text) : idOf(owned.project, opening(owned).keyOf(owned.wrapped));
    },
    // One that is missing, or that only a service can tell of, concerns its project alone.
    ...(holds !== undefined && {
      holds(id) {
        const named = projectOfId(id);
        if (named === undefined) return holds(id);
        const provider = own.get(named.project)?.provider;
        return provider?.holds === undefined || provider.holds(named.key);
      },
    }),
  };
}

/**
 * At start: proves that each ring of a project holds the key that the project's data key was wrapped by. Nothing is asked of services. Throws
 * `integrity_error`.
 */
export async function proveOwnRings(own: OwnKeys, store: Pick<DataKeyStore, 'list'>): Promise<void> {
  for (const [project, { ring, provider }] of own) {
    if (ring === undefined) continue;
    for (const { kid, wrapped, retired_at } of await store.list(project)) {
      const owned = retired_at === null ? ownedOf(wrapped) : undefined;
      if (owned === undefined || (provider.isOwn(owned.wrapped) && !ring.isOwn(owned.wrapped))) continue;
      try {
        await ring.unwrap(['data_key', project, kid], owned.wrapped);
      } catch (cause) {
        throw refusal(project, cause);
      }
    }
  }
}

function refusal(project: string, cause: unknown): GrantryError {
  const why = isGrantryError(cause) ? ` ${cause.message}` : '';
  const detail = `The key ring of the project ${project} in GRANTRY_PROJECT_KEYS_FILE is not the one that its data keys were wrapped by.${why} Start with the former keys of that project, or without the project in that file: then what it has sealed does not open.`;
  return new GrantryError('integrity_error', { detail, cause });
}
