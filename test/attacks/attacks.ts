import type { Attack } from './attack.ts';
import { audienceInjection } from './audience-injection.ts';
import { borrowedRegistration } from './borrowed-registration.ts';
import { ciphertexts } from './ciphertexts.ts';
import { clickjacking } from './clickjacking.ts';
import { coat } from './coat.ts';
import { codeInjection } from './code-injection.ts';
import { cookies } from './cookies.ts';
import { corf } from './corf.ts';
import { hostileCallbacks } from './hostile-callbacks.ts';
import { hostileTokenAnswers } from './hostile-token-answers.ts';
import { idor } from './idor.ts';
import { keyScopes } from './key-scopes.ts';
import { leakage } from './leakage.ts';
import { massAssignment } from './mass-assignment.ts';
import { mixUp } from './mix-up.ts';
import { openRedirect } from './open-redirect.ts';
import { parallelCallbacks } from './parallel-callbacks.ts';
import { prototypePollution } from './prototype-pollution.ts';
import { queuePoisoning } from './queue-poisoning.ts';
import { redos } from './redos.ts';
import { sessionFixation } from './session-fixation.ts';
import { ssrf } from './ssrf.ts';
import { stateReplay } from './state-replay.ts';
import { templateHosts } from './template-hosts.ts';
import { webhookReplay } from './webhook-replay.ts';
import { xss } from './xss.ts';

/** Every row of the matrix. */
export const attacks: readonly Attack[] = [
  ...coat,
  ...corf,
  ...sessionFixation,
  ...mixUp,
  ...audienceInjection,
  ...codeInjection,
  ...stateReplay,
  ...parallelCallbacks,
  ...openRedirect,
  ...ssrf,
  ...templateHosts,
  ...borrowedRegistration,
  ...leakage,
  ...ciphertexts,
  ...idor,
  ...keyScopes,
  ...massAssignment,
  ...prototypePollution,
  ...redos,
  ...hostileTokenAnswers,
  ...hostileCallbacks,
  ...xss,
  ...clickjacking,
  ...cookies,
  ...webhookReplay,
  ...queuePoisoning,
];
