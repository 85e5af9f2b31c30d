import { Sealed } from './sealed.ts';

/** A secret text outside a credential. */
export class Secret extends Sealed<string> {}
