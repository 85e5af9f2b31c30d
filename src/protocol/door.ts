/** The door's shape: the one way out of the process. `outside/http.ts` is the real one. */

export type DoorRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
  /** Absolute URL; https and a public host unless private hosts are allowed. */
  url: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /**
   * What becomes of the answer's body; `read` when left out. `ignored`: nobody reads it, so that nothing about it (size, encoding, an end
   * that never comes) counts; status and headers are the answer.
   */
  answerBody?: 'read' | 'ignored';
};

export type DoorResponse = {
  status: number;
  /** Lower-case names; several values of one name joined by ", ". */
  headers: Readonly<Record<string, string>>;
  /** At most 64 KiB, decoded as UTF-8; empty when it was to be ignored. */
  body: string;
};

/**
 * Sends one request and returns the complete answer (or its head, for a body to be ignored), whatever its status; 3xx is returned, never followed.
 * Throws GrantryError: `address_refused` or `provider_unreachable` (nothing was sent), `no_answer` (it may have
 * arrived), `bad_provider_answer` (too large, or in an encoding that was not asked for).
 */
export type Door = (request: DoorRequest) => Promise<DoorResponse>;
