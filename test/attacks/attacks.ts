import { answers } from './answers.ts';
import type { Attack } from './attack.ts';
import { ciphertexts } from './ciphertexts.ts';
import { coat } from './coat.ts';
import { codes } from './codes.ts';
import { corf } from './corf.ts';
import { idor } from './idor.ts';
import { keyScopes } from './key-scopes.ts';
import { pages } from './pages.ts';
import { queuePoisoning } from './queues.ts';
import { openRedirect } from './return-urls.ts';
import { sessionFixation } from './session-fixation.ts';
import { ssrf } from './ssrf.ts';

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
];
