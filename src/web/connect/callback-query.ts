/** More parameters than any answer or form of ours has. */
export const mostParameters = 100;

/** The parameters of a callback, in their order, as they were sent; undefined when there are more than anybody sends. `target`: path and query. */
export function callbackParameters(target: string): [string, string][] | undefined {
  const query = target.indexOf('?');
  // With its question mark: of two the first alone belongs to the URL.
  const pairs = query === -1 ? [] : [...new URLSearchParams(target.slice(query))];
  return pairs.length > mostParameters ? undefined : pairs;
}
