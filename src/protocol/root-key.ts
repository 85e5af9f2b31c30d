/**
 * True for text that can be the root key: 32 to 512 visible ASCII characters, as an Authorization header carries them
 * (RFC 6750 section 2.1), and not in the form of an API key (`grt_`), which is looked up elsewhere.
 */
export const isRootKeyText = (text: string): boolean => /^[!-~]{32,512}$/.test(text) && !text.startsWith('grt_');
