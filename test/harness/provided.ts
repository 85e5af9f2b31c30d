/** Something that the tests may need and this machine may lack: how to reach it, or what a person has to do to have it. */
export type Provided = { value: string } | { missing: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the superuser on the run's Postgres, in its maintenance database: see `createTestDatabase`. */
    postgresUrl: string;
    /** Where the built programs are: main.js and cli.js. */
    dist: string;
    /** What `compileShippedProviders` made of providers/, for brokers to start with. */
    compiledProviders: string;
    redis: Provided;
    /** Path of the browser. */
    chromium: Provided;
  }
}
