import type { Attack } from './attack.ts';
import { coat } from './coat.ts';

/** Every row of the matrix. */
export const attacks: readonly Attack[] = [...coat];
