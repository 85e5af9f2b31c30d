import type { Attack } from './attack.ts';
import { type Evil, takeover, theft } from './coat.ts';
import { honests, namesIssuer } from './stage.ts';

/** Mix-up: the evil definition claims to be the honest server, so that the issuer of an answer tells nothing. */

const impostors: Evil[] = [{ integration: 'impostor' }, { integration: 'impostor', project: 'elsewhere' }];

/** An impostor has to be answered with the name that it claims. */
export const mixUp: Attack[] = honests
  .filter(namesIssuer)
  .flatMap((honest) => impostors.flatMap((evil) => [theft(honest, evil), takeover(honest, evil)]));
