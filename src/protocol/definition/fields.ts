import { z } from 'zod';

/** The kinds of text that a definition is made of. */

export const id = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens, 64 at most, as in acme-crm');
/** Names of methods; with _ as well, because grant names are natural ones. */
export const methodId = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens or _, 64 at most, as in web-app');
export const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'a letter or _, then letters, digits or _, as in tenant_id');
export const text = z.string().min(1).max(500);
export const template = z.string().min(1).max(2000);
export const url = template.describe('An absolute https URL; may hold {name} of a declared input.');
export const param = z.string().min(1).max(200);
export const params = z.record(param, z.string().max(2000));
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'a header name: letters, digits and hyphens, as in Acme-Version');
export const headers = z.record(
  headerName,
  z
    .string()
    .max(1000)
    .regex(/^[\t\x20-\x7e]*$/, 'printable ASCII, without accents and line breaks'),
);
export const pointer = z
  .string()
  .max(300)
  .regex(/^(?:\/(?:[^~/]|~[01])*)+$/, 'a JSON pointer (RFC 6901), as in /data/access_token');
/** A pointer, or the word that says that the answer is not to be believed there. */
export const pointerOrNone = z.union([pointer, z.literal('none')]);
export const duration = z
  .string()
  .regex(
    /^P(?=\d|T\d)(?:\d{1,5}D)?(?:T(?=\d)(?:\d{1,6}H)?(?:\d{1,6}M)?(?:\d{1,9}S)?)?$/,
    'an ISO 8601 duration of days, hours, minutes and seconds, as in PT1H or P30D',
  );
