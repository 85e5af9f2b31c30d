/** What is not there, by the name under which it was looked for. The broker says the same of everything that is missing, lest it tell what others have. */

const kinds: Readonly<Record<string, string>> = {
  providers: 'provider',
  versions: 'version',
  integrations: 'integration',
  tests: 'test',
  'connect-links': 'connect link',
  connections: 'connection',
  'api-keys': 'API key',
  projects: 'project',
};

/** A sentence for a path of the API that leads to nothing; undefined when it names nothing. */
export function missingAt(path: string): string | undefined {
  const parts = path.split('/').slice(2);
  const names = parts.flatMap((part, at) => {
    const kind = kinds[part];
    const id = parts[at + 1];
    return at % 2 === 1 || kind === undefined || id === undefined ? [] : [`${kind} "${decodeURIComponent(id)}"`];
  });
  const [whole, part] = names;
  if (whole === undefined) return undefined;
  return part === undefined ? `There is no ${whole} here.` : `There is no ${part} of ${/^[aei]/i.test(whole) ? 'an' : 'a'} ${whole} here.`;
}
