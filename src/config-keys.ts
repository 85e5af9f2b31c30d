import { join, resolve } from 'node:path';
import { isSet, type Mode, oneOf, type Reader, urlOf } from './config-reader.ts';
import { type KeyRing, parseKeyRing } from './outside/key-ring.ts';
import { parseOutsideUrl } from './protocol/address.ts';
import { isGrantryError } from './protocol/errors.ts';

/** Where the master keys are. */

export type RingConfig =
  | { readonly kind: 'given'; readonly ring: KeyRing }
  /** The operator has put the file there. */
  | { readonly kind: 'mounted'; readonly path: string }
  /** Made once at `path`. */
  | { readonly kind: 'file'; readonly path: string }
  /** The key service has them. */
  | { readonly kind: 'none' };

export type KmsConfig = {
  readonly url: string;
  /** Holds the bearer credential. */
  readonly tokenFile: string;
  /** True: it may be at a private address, and at a loopback one without TLS. */
  readonly allowPrivateHost: boolean;
  /** Certificates (PEM) of authorities to trust besides the usual ones. */
  readonly caFile: string | undefined;
};

export type KeysConfig = {
  readonly keys: RingConfig;
  readonly kms: KmsConfig | undefined;
  /** With both: which of them wraps; the other one goes on unwrapping. */
  readonly wrapWith: 'keys' | 'kms';
  /** Names the master keys that projects bring; undefined: none does. */
  readonly projectKeysFile: string | undefined;
};

function readRing({ text, fault }: Reader, { mode, dataDir, hasKms }: { mode: Mode; dataDir: string; hasKms: boolean }): RingConfig {
  const given = text('GRANTRY_KEYS');
  const file = text('GRANTRY_KEYS_FILE');
  const made = { kind: 'file', path: join(dataDir, 'keys.json') } as const;
  if (given !== undefined && file !== undefined) fault('GRANTRY_KEYS_FILE', 'and GRANTRY_KEYS say the same thing: keep one of them.');
  if (file !== undefined) return { kind: 'mounted', path: resolve(file) };
  if (given === undefined) {
    if (hasKms) return { kind: 'none' };
    if (mode === 'production')
      fault(
        'GRANTRY_KEYS',
        'is needed in production (or GRANTRY_KEYS_FILE, or GRANTRY_KMS_URL): the JWK Set that seals everything. See docs/keys.md.',
      );
    return made;
  }
  try {
    return { kind: 'given', ring: parseKeyRing(given) };
  } catch (error) {
    if (!isGrantryError(error, 'invalid_request')) throw error;
    for (const { pointer, detail } of error.details.errors ?? []) fault('GRANTRY_KEYS', pointer === '' ? `${detail}.` : `${pointer} ${detail}.`);
    return made;
  }
}

const isLoopback = ({ hostname }: URL) => hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);

/**
 * What is wrong with the address of a key service. Data keys travel there as they are: without TLS they may do so inside this machine alone.
 * @param option how a private host is allowed for this one address
 */
export function keyServiceUrlFault(text: string, allowPrivateHost: boolean, option: string): string | undefined {
  const url = urlOf(text, ['https:', 'http:']);
  if (url === undefined || url.search !== '') return 'must be the base URL of a key service, such as https://kms.internal/v1';
  if (url.protocol === 'http:' && !isLoopback(url)) return `must begin with https://; http:// is for a loopback address alone, with ${option}`;
  try {
    parseOutsideUrl(text, { allowPrivateHosts: allowPrivateHost });
    return undefined;
  } catch (error) {
    if (!isGrantryError(error, 'address_refused')) throw error;
    return `cannot be called: ${error.message} ${option} allows a private host, for this address alone`;
  }
}

function readKms(reader: Reader): KmsConfig | undefined {
  const url = reader.text('GRANTRY_KMS_URL');
  const tokenFile = reader.text('GRANTRY_KMS_TOKEN_FILE');
  const caFile = reader.text('GRANTRY_KMS_CA_FILE');
  const allowPrivateHost = isSet(reader, 'GRANTRY_KMS_ALLOW_PRIVATE_HOST');
  if (url === undefined) {
    if (tokenFile !== undefined || caFile !== undefined || allowPrivateHost)
      reader.fault('GRANTRY_KMS_URL', 'is needed with the other GRANTRY_KMS variables.');
    return undefined;
  }
  const wrong = keyServiceUrlFault(url, allowPrivateHost, 'GRANTRY_KMS_ALLOW_PRIVATE_HOST=true');
  if (wrong !== undefined) reader.fault('GRANTRY_KMS_URL', `${wrong}.`);
  if (tokenFile === undefined) reader.fault('GRANTRY_KMS_TOKEN_FILE', 'is needed with GRANTRY_KMS_URL: the file with the bearer credential.');
  return Object.freeze({ url, tokenFile: resolve(tokenFile ?? ''), allowPrivateHost, caFile: caFile && resolve(caFile) });
}

/** Reads where the master keys are; faults go to the reader. */
export function readKeys(reader: Reader, mode: Mode, dataDir: string): KeysConfig {
  const hasUrl = reader.text('GRANTRY_KMS_URL') !== undefined;
  const keys = readRing(reader, { mode, dataDir, hasKms: hasUrl });
  const wrapWith = oneOf(reader, 'GRANTRY_WRAP_WITH', ['keys', 'kms'], hasUrl ? 'kms' : 'keys');
  if (wrapWith === 'kms' && !hasUrl) reader.fault('GRANTRY_WRAP_WITH', 'is kms, and there is no GRANTRY_KMS_URL.');
  if (wrapWith === 'keys' && keys.kind === 'none')
    reader.fault('GRANTRY_WRAP_WITH', 'is keys, and there is neither GRANTRY_KEYS nor GRANTRY_KEYS_FILE.');
  const projectKeysFile = reader.text('GRANTRY_PROJECT_KEYS_FILE');
  return { keys: Object.freeze(keys), kms: readKms(reader), wrapWith, projectKeysFile: projectKeysFile && resolve(projectKeysFile) };
}
