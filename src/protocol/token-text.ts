const visible = /^[\x21-\x7e]{1,8192}$/;

/**
 * True for a text that may serve as a token or token secret: 1 to 8192 characters of visible ASCII (0x21-0x7e). What is
 * refused (CR, LF, NUL, space, non-ASCII) could break out of a header line; wider than RFC 6750's b64token because providers are.
 */
export function isTokenText(value: unknown): value is string {
  return typeof value === 'string' && visible.test(value);
}
