/** No body (204, 205), or a part of one that nobody asked for (206): RFC 9110 sections 15.3.5 to 15.3.7. */
const withoutWhole: ReadonlySet<number> = new Set([204, 205, 206]);

/** True for a success whose body may be what was asked for. RFC 6749 section 5.1 says 200; some providers say 201. */
export const mayHoldToken = (status: number): boolean => status >= 200 && status < 300 && !withoutWhole.has(status);
