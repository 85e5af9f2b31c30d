import { randomBytes } from 'node:crypto';
import { definitionSchema, type Method } from '../../src/protocol/definition/schema.ts';
import type { Door, DoorRequest, DoorResponse } from '../../src/protocol/door.ts';
import type { GrantContext } from '../../src/protocol/grant.ts';

export const now = new Date('2026-11-20T12:00:00Z');

type Settings = Partial<Omit<GrantContext, 'definition' | 'method'>> & {
  api?: Record<string, unknown>;
  inputs?: Record<string, string>;
  declared?: Record<string, unknown>;
};

/** A context for one method, written as a definition would write it; https endpoints at as.example unless it names others. */
export function contextOf(method: Record<string, unknown>, { api = {}, declared = {}, ...settings }: Settings = {}): GrantContext<Method> {
  const definition = definitionSchema.parse({ id: 'acme', name: 'Acme', api, inputs: declared, methods: { main: method } });
  const main = definition.methods['main'];
  if (main === undefined) throw new Error('no method');
  return {
    definition,
    method: main,
    client: { client_id: 'client', client_secret: 'secret' },
    inputs: {},
    allowPrivateHosts: false,
    door: () => Promise.reject(new Error('nothing should be sent')),
    now: () => now,
    random: randomBytes,
    ...settings,
  };
}

/** The same context with the method's own type. */
export function contextFor<G extends Method['grant']>(
  grant: G,
  method: Record<string, unknown>,
  settings?: Settings,
): GrantContext<Extract<Method, { grant: G }>> {
  const ctx = contextOf({ grant, ...method }, settings);
  if (ctx.method.grant !== grant) throw new Error('another grant');
  return ctx as GrantContext<Extract<Method, { grant: G }>>;
}

/** A door that gives the scripted answers in turn and remembers what was sent. */
export function scriptedDoor(...answers: (Partial<DoorResponse> | Error)[]): { door: Door; sent: DoorRequest[] } {
  const sent: DoorRequest[] = [];
  const door: Door = async (request) => {
    sent.push(request);
    const answer = answers[sent.length - 1];
    if (answer === undefined) throw new Error('more was sent than the script foresees');
    if (answer instanceof Error) throw answer;
    return { status: 200, headers: {}, body: '', ...answer };
  };
  return { door, sent };
}

export const json = (body: unknown, status = 200): Partial<DoorResponse> => ({ status, body: JSON.stringify(body) });

/** The parameters of a form body. */
export const formOf = (request: DoorRequest | undefined): Record<string, string> => Object.fromEntries(new URLSearchParams(request?.body ?? ''));
