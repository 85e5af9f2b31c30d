import type { RequestHandler } from 'express';
import { tooMany } from '../broker/limits.ts';
import type { World } from '../broker/world.ts';
import { addressOf } from './address.ts';

/** The pages and callbacks that one address may ask for; anybody may, so nothing is read or written for more. */
export const limitPages =
  (world: World, trustProxy: number): RequestHandler =>
  (req, _res, next) => {
    const waitS = world.limits.take('pages', addressOf(req, trustProxy));
    if (waitS !== undefined) throw tooMany('Too many pages were asked for from this address.', waitS);
    next();
  };

/** Callbacks that no flow waits for, counted by address when the handler has said so. */
export const limitUnknownCallbacks =
  (world: World, trustProxy: number): RequestHandler =>
  (req, res, next) => {
    const address = addressOf(req, trustProxy);
    const waitS = world.limits.spent('unknown_callbacks', address);
    if (waitS !== undefined) throw tooMany('Too many callbacks came from this address that nobody waits for.', waitS);
    res.on('finish', () => res.locals.isUnknownCallback === true && world.limits.take('unknown_callbacks', address));
    next();
  };
