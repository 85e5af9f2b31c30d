import { type CompletedInputs, completeInputs, declaredInputs } from '../protocol/definition/inputs.ts';
import type { Definition, Method } from '../protocol/definition/schema.ts';
import type { Fault } from '../protocol/errors.ts';
import { openIntegrationInputs } from './grant-context.ts';
import type { IntegrationRecord } from './records.ts';
import type { World } from './world.ts';

/** What an admin fixed stands, and what only an admin may say cannot be said by somebody else. */
function barred(
  given: Readonly<Record<string, string>>,
  fixed: Readonly<Record<string, string>>,
  declared: ReturnType<typeof declaredInputs>,
): Fault[] {
  return Object.keys(given).flatMap((name): Fault[] => {
    const pointer = `/inputs/${name}`;
    if (Object.hasOwn(fixed, name) && fixed[name] !== given[name]) return [{ pointer, detail: 'The integration has set this already.' }];
    if (Object.hasOwn(declared, name) && declared[name]?.asked_of === 'integration')
      return [{ pointer, detail: 'Only the integration can set this.' }];
    return [];
  });
}

/**
 * The inputs that a caller gives for a link or a connection, laid over the integration's own, completed and checked.
 * `given` is what to keep with a link: what the end user still adds is completed later.
 */
export async function completeGiven(
  world: World,
  {
    integration,
    definition,
    method,
    given,
  }: { integration: IntegrationRecord; definition: Definition; method: Method; given: Readonly<Record<string, string>> },
): Promise<CompletedInputs & { given: Record<string, string> }> {
  const declared = declaredInputs(definition, method);
  const all = await openIntegrationInputs(world, integration);
  // Another method of the same provider may not know all of the integration's inputs.
  const fixed = Object.fromEntries(Object.entries(all).filter(([name]) => Object.hasOwn(declared, name)));
  const together = { ...fixed, ...given };
  const completed = completeInputs(definition, method, together, { allowPrivateHosts: world.allowPrivateHosts });
  return { ...completed, faults: [...barred(given, fixed, declared), ...completed.faults], given: together };
}
