/** What every sandbox provider shows to the demo and the tests. */
export type SandboxProvider<Switches, Counters> = {
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** A provider definition (JSON) as it can be PUT to /v1/providers/{id}. */
  definition: string;
  client: SandboxClient;
  /** Registers the redirect URI that the broker names for its integration. */
  registerRedirectUri(uri: string): void;
  /** Change them at any time; they apply from the next request on. */
  switches: Switches;
  counters: Counters;
};

export type SandboxClient = { client_id: string; client_secret: string };
