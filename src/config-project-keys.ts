import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { type KmsConfig, keyServiceUrlFault } from './config-keys.ts';
import { type KeyRing, parseKeyRing } from './outside/key-ring.ts';
import { type Fault, GrantryError, isGrantryError } from './protocol/errors.ts';
import { repeatedMembers } from './repeated-members.ts';

/** The file of GRANTRY_PROJECT_KEYS_FILE: which projects bring master keys of their own, and where those are. */

export type KeyPlace =
  | { readonly kind: 'ring'; readonly ring: KeyRing }
  | { readonly kind: 'ring_file'; readonly path: string }
  | { readonly kind: 'service'; readonly service: KmsConfig };

/** `former`: unwraps what it has wrapped, and nothing else. Without `current` the deployment's key wraps again. */
export type ProjectKeys = { readonly current: KeyPlace | undefined; readonly former: KeyPlace | undefined };

const variable = 'GRANTRY_PROJECT_KEYS_FILE';
export const ringNameOf = (project: string): string => `the key ring of the project ${project}`;

const notAPath = 'must be a path, such as "acme-keys.json"';
const place = {
  /** As in GRANTRY_KEYS: an entry is a JWK Set. */
  keys: z.array(z.unknown(), 'must be a list of keys: [{"kty": "oct", "kid": "...", "k": "..."}]').optional(),
  keys_file: z.string(notAPath).min(1, notAPath).optional(),
  service: z
    .strictObject(
      {
        url: z.string('is needed: the base URL of a key service, such as "https://kms.example.com/v1"'),
        token_file: z.string('is needed: the file with the bearer credential').min(1, notAPath),
        ca_file: z.string(notAPath).min(1, notAPath).optional(),
        allow_private_host: z.boolean('must be true or false').default(false),
      },
      'must be an object: {"url": "https://...", "token_file": "..."}',
    )
    .optional(),
};
const oneObject = 'must be an object with one of "keys", "keys_file" and "service", or with "former"';
const entry = z.strictObject({ ...place, former: z.strictObject(place, oneObject).optional() }, oneObject);
const file = z.record(
  z.string().regex(/^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/, 'is no id of a project: lower-case letters, digits, and inner - or _; 64 at most'),
  entry,
  'must be an object: {"<project>": {"keys": [...]}}',
);
type Place = z.infer<typeof entry>['former'];

const pointerOf = (path: readonly PropertyKey[]) => path.map((step) => `/${String(step)}`).join('');
const shown = (name: string) => (name.length > 64 ? `${name.slice(0, 64)}...` : name);

function issuesOf({ issues }: z.ZodError): Fault[] {
  return issues.flatMap((issue) => {
    const pointer = pointerOf(issue.path);
    if (issue.code === 'unrecognized_keys') {
      const known = issue.path.at(-1) === 'service' ? 'url, token_file, ca_file and allow_private_host' : 'keys, keys_file, service and former';
      return issue.keys.map((key) => ({ pointer: `${pointer}/${shown(key)}`, detail: `is not known: there are ${known}` }));
    }
    if (issue.code === 'invalid_key') return [{ pointer, detail: issue.issues[0]?.message ?? issue.message }];
    return [{ pointer, detail: issue.message }];
  });
}

type Reading = { project: string; pointer: string; dir: string; faults: Fault[] };

function ringOf(keys: readonly unknown[], { project, pointer, faults }: Reading): KeyPlace | undefined {
  try {
    return { kind: 'ring', ring: parseKeyRing(JSON.stringify({ keys }), ringNameOf(project)) };
  } catch (error) {
    if (!isGrantryError(error, 'invalid_request')) throw error;
    for (const fault of error.details.errors ?? []) faults.push({ ...fault, pointer: pointer + fault.pointer });
    return undefined;
  }
}

/** Undefined when there is none, or with a fault. */
function placeOf({ keys, keys_file, service }: NonNullable<Place>, reading: Reading): KeyPlace | undefined {
  const { pointer, dir, faults } = reading;
  if ([keys, keys_file, service].filter((each) => each !== undefined).length > 1)
    faults.push({ pointer, detail: 'says twice where the key is: keep one of "keys", "keys_file" and "service"' });
  if (keys !== undefined) return ringOf(keys, reading);
  if (keys_file !== undefined) return { kind: 'ring_file', path: resolve(dir, keys_file) };
  if (service === undefined) return undefined;
  const { url, token_file, ca_file, allow_private_host: allowPrivateHost } = service;
  const detail = keyServiceUrlFault(url, allowPrivateHost, '"allow_private_host": true');
  if (detail !== undefined) faults.push({ pointer: `${pointer}/service/url`, detail });
  const caFile = ca_file === undefined ? undefined : resolve(dir, ca_file);
  return { kind: 'service', service: { url, tokenFile: resolve(dir, token_file), allowPrivateHost, caFile } };
}

function checkWay({ current, former }: ProjectKeys, { pointer, faults }: Reading): void {
  if (current === undefined || former === undefined) return;
  if ((current.kind === 'service') !== (former.kind === 'service')) return;
  const detail =
    current.kind === 'service'
      ? 'cannot be a service beside a service: go by way of a key ring, with a rotation after each step'
      : 'cannot be a ring beside a ring: put its keys behind those that wrap, in the same list';
  faults.push({ pointer: `${pointer}/former`, detail });
}

function projectKeysOf({ former, ...place }: z.infer<typeof entry>, reading: Reading): ProjectKeys {
  const { pointer, faults } = reading;
  const before = faults.length;
  const keys: ProjectKeys = {
    current: placeOf(place, reading),
    former: former && placeOf(former, { ...reading, pointer: `${pointer}/former` }),
  };
  if (faults.length > before) return keys;
  if (former !== undefined && keys.former === undefined) faults.push({ pointer: `${pointer}/former`, detail: oneObject.replace(/, or.*/, '') });
  else if (keys.current === undefined && keys.former === undefined) faults.push({ pointer, detail: oneObject });
  else checkWay(keys, reading);
  return keys;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the parser's own message quotes its input
  }
}

/**
 * Parses the file; paths in it are relative to where it lies. Throws `invalid_request` with every fault and its pointer; what the file holds is
 * in no message, but for names of members.
 * @param path where it lies
 */
export function parseProjectKeys(text: string, path: string): ReadonlyMap<string, ProjectKeys> {
  const refuse = (errors: readonly Fault[]) =>
    new GrantryError('invalid_request', {
      detail: `The file ${path} of ${variable} cannot be used.`,
      errors: errors.map((fault) => ({ ...fault, detail: `${fault.detail}.` })),
    });
  const json = parseJson(text);
  if (json === undefined) throw refuse([{ pointer: '', detail: 'It must be JSON' }]);
  const repeated = repeatedMembers(text);
  if (repeated.length > 0)
    throw refuse(repeated.map((pointer) => ({ pointer, detail: 'is there twice, and only one of them would count: keep one' })));
  const parsed = file.safeParse(json);
  if (!parsed.success) throw refuse(issuesOf(parsed.error));
  const faults: Fault[] = [];
  const keys = new Map(
    Object.entries(parsed.data).map(([project, each]) => [
      project,
      projectKeysOf(each, { project, pointer: `/${project}`, dir: dirname(path), faults }),
    ]),
  );
  if (faults.length > 0) throw refuse(faults);
  return keys;
}
