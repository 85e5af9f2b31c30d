import { z } from 'zod';
import { points } from './failpoints.ts';

/** What a torture and its workers say to each other. */

export const order = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('start') }),
  /** At the `nth` time that the point is reached: die at once, or wait there (and at every further time) until `go_on`. */
  z.object({ kind: z.literal('arm'), point: z.enum(points), nth: z.number().int().positive(), act: z.enum(['die', 'wait']) }),
  z.object({ kind: z.literal('go_on') }),
]);
export type Order = z.infer<typeof order>;

export const report = z.discriminatedUnion('kind', [
  /** The program is in memory; nothing has been begun. */
  z.object({ kind: z.literal('loaded') }),
  z.object({ kind: z.literal('ready'), port: z.number().int() }),
  z.object({ kind: z.literal('armed') }),
  /** Only of those that wait. */
  z.object({ kind: z.literal('reached') }),
  z.object({ kind: z.literal('swept'), handedOut: z.number().int() }),
  z.object({ kind: z.literal('handed_out_again') }),
]);
export type Report = z.infer<typeof report>;
