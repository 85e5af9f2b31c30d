import { answers } from './answers.ts';
import type { Attack } from './attack.ts';
import { audienceInjection } from './audience-injection.ts';
import { ciphertexts } from './ciphertexts.ts';
import { coat } from './coat.ts';
import { codes } from './codes.ts';
import { corf } from './corf.ts';
import { idor } from './idor.ts';
import { keyScopes } from './key-scopes.ts';
import { massAssignment } from './mass-assignment.ts';
import { pages } from './pages.ts';
import { prototypePollution } from './prototype-pollution.ts';
import { queuePoisoning } from './queues.ts';
import { redos } from './redos.ts';
import { openRedirect } from './return-urls.ts';
import { sessionFixation } from './session-fixation.ts';
import { ssrf } from './ssrf.ts';
import { webhookReplay } from './webhook-replay.ts';

/** Every row of the matrix. */
export const attacks: readonly Attack[] = [
  ...coat,
  ...corf,
  ...sessionFixation,
  ...codes,
  ...openRedirect,
  ...answers,
  ...ciphertexts,
  ...pages,
  ...ssrf,
  ...queuePoisoning,
  ...idor,
  ...keyScopes,
  ...massAssignment,
  ...prototypePollution,
  ...redos,
  ...audienceInjection,
  ...webhookReplay,
];
