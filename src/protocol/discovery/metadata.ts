import { z } from 'zod';
import { parseOutsideUrl } from '../address.ts';
import { type Fault, isGrantryError } from '../errors.ts';

/** The metadata of an authorization server: RFC 8414, and OpenID Connect Discovery, which has the same members. */

const words = z.array(z.string().max(300)).max(500).optional();
const address = z.string().max(2_000).optional();
const metadataSchema = z.object({
  issuer: z.string().max(2_000),
  authorization_endpoint: address,
  token_endpoint: address,
  revocation_endpoint: address,
  introspection_endpoint: address,
  userinfo_endpoint: address,
  service_documentation: address,
  scopes_supported: words,
  response_types_supported: words,
  response_modes_supported: words,
  grant_types_supported: words,
  token_endpoint_auth_methods_supported: words,
  code_challenge_methods_supported: words,
  authorization_response_iss_parameter_supported: z.boolean().optional(),
});

/** What of the metadata is used; sound: every endpoint may be called. */
export type Metadata = z.output<typeof metadataSchema>;

export const endpointNames = [
  'authorization_endpoint',
  'token_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
  'userinfo_endpoint',
] as const satisfies readonly (keyof Metadata)[];

type Options = { allowPrivateHosts: boolean };

function addressDetail(text: string, options: Options): string | undefined {
  if (/[{}]/.test(text)) return 'The address holds characters that do not belong in a URL.';
  try {
    parseOutsideUrl(text, options);
    return undefined;
  } catch (error) {
    if (isGrantryError(error)) return error.message;
    throw error;
  }
}

/** Why a text is no issuer, as a sentence (RFC 8414 section 2: https, no query, no fragment); undefined when it is one. */
export function issuerDetail(issuer: string, options: Options): string | undefined {
  if (issuer.includes('?')) return 'An issuer has no query: give the address before the question mark.';
  return addressDetail(issuer, options);
}

/** Where the metadata of an issuer may stand: RFC 8414 section 3.1 inserts before the path, OpenID Connect appends to it. */
export function metadataAddresses(issuer: string): string[] {
  const { origin } = new URL(issuer);
  const path = issuer.slice(issuer.indexOf('/', 'https://'.length)).replace(/\/$/, '');
  const rest = issuer.indexOf('/', 'https://'.length) === -1 ? '' : path;
  return [`${origin}/.well-known/oauth-authorization-server${rest}`, `${origin}${rest}/.well-known/openid-configuration`];
}

function issuerFault(found: string, asked: string): string | undefined {
  if (found === asked) return undefined;
  const said = 'The metadata is of another issuer than the one that you gave (RFC 8414 section 3.3: they must be the same, letter by letter).';
  if (found.replace(/\/$/, '') === asked.replace(/\/$/, '')) {
    return `${said} They differ by the slash at the end: give it ${found.endsWith('/') ? 'with' : 'without'} one.`;
  }
  return found.toLowerCase() === asked.toLowerCase() ? `${said} They differ by upper and lower case.` : said;
}

/**
 * Reads the text of a metadata document: its issuer must be the one that was asked, byte by byte, and every endpoint must be https and
 * public. What is wrong comes as faults, with pointers into the document.
 */
export function readMetadata(text: string, issuer: string, options: Options): { metadata: Metadata } | { faults: Fault[] } {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { faults: [{ pointer: '', detail: 'The answer is not JSON.' }] };
  }
  const parsed = metadataSchema.safeParse(document);
  if (!parsed.success) {
    return {
      faults: parsed.error.issues.map(({ path }) => ({
        pointer: path.map((part) => `/${String(part)}`).join(''),
        detail: 'Is missing, or not of the kind that RFC 8414 says.',
      })),
    };
  }
  const { data: metadata } = parsed;
  const other = issuerFault(metadata.issuer, issuer);
  if (other !== undefined) return { faults: [{ pointer: '/issuer', detail: other }] };
  const faults = endpointNames.flatMap((name) => {
    const endpoint = metadata[name];
    const detail = endpoint === undefined ? undefined : addressDetail(endpoint, options);
    return detail === undefined ? [] : [{ pointer: `/${name}`, detail }];
  });
  return faults.length > 0 ? { faults } : { metadata };
}
