import type { RequestHandler } from 'express';
import { tooMany } from '../broker/limits.ts';
import type { World } from '../broker/world.ts';
import { addressOf } from './address.ts';

/** The pages and callbacks that one address may ask for; anybody may, so nothing is read or written for more. */
export const limitPages =
  (world: World, trustProxy: number): RequestHandler =>
  (req, _res, next) => {
    const { kind, resetS } = world.limits.take('pages', addressOf(req, trustProxy));
    if (kind === 'refused') throw tooMany('Too many pages were asked for from this address.', resetS);
    next();
  };

/** Callbacks that no flow waits for, counted by address when the handler has said so. */
export const limitUnknownCallbacks =
  (world: World, trustProxy: number): RequestHandler =>
  (req, res, next) => {
    const address = addressOf(req, trustProxy);
    const { kind, resetS } = world.limits.standing('unknown_callbacks', address);
    if (kind === 'refused') throw tooMany('Too many callbacks came from this address that nobody waits for.', resetS);
    res.on('finish', () => res.locals.isUnknownCallback === true && world.limits.take('unknown_callbacks', address));
    next();
  };
