import type { Request } from 'express';
import { audited } from '../../broker/audit.ts';
import { callerName } from '../../broker/caller.ts';
import type { Witness } from '../witness.ts';
import type { Audited, Call, Endpoint } from './endpoint.ts';

/** The one place where calls of the API come into the audit log: what an endpoint says of itself, told of this very call. */

type AnyCall = Call<unknown, unknown>;
type Members = Record<string, unknown>;

const membersOf = (value: unknown): Members => (typeof value === 'object' && value !== null ? { ...value } : {});
const textOr = (...values: unknown[]): string | null => values.find((value) => typeof value === 'string') ?? null;

/** Which fields were given; not what with. */
const changed = ({ body }: AnyCall): readonly string[] => Object.keys(membersOf(body)).sort();

function deedOf({ method, scope }: Pick<Endpoint, 'method' | 'scope'>, audit: Audited, call: AnyCall, answer: Members | undefined) {
  const project = audit.project === undefined ? (scope === 'root' ? null : call.project) : audit.project(call);
  return {
    project,
    action: audit.action,
    // What is made is named by the answer or, when the caller chose its id, by the body.
    target: textOr(call.params.id, answer?.id, membersOf(call.body).id),
    // There are none before there is an answer: until then nobody knows whether what was given is right.
    details: answer === undefined ? {} : { ...(method === 'patch' && { changed: changed(call) }), ...audit.details?.(call, answer) },
  };
}

/**
 * Runs the handler of a call, and takes down what it did: before an answer is sent, and begun before anything is changed. What is counted is
 * counted, and waits for nothing.
 */
export async function recorded(
  witness: Witness,
  { endpoint, call, req }: { endpoint: Endpoint; call: AnyCall; req: Request },
  work: () => Promise<unknown>,
): Promise<unknown> {
  const { audit } = endpoint;
  if (audit === undefined) return work();
  if (audit.counted === true) {
    const answer = await work();
    witness.released(req, call.caller, call.params.id ?? '');
    return answer;
  }
  const entry = (answer?: Members) => witness.entry(req, callerName(call.caller), deedOf(endpoint, audit, call, answer));
  return audited(call.world, { begun: entry(), told: (answer: unknown) => entry(membersOf(answer)), refusals: audit.refusals }, work);
}
