import type { Request, Response } from 'express';
import { readBrowser } from '../../broker/flow/browser.ts';
import { newSecret } from '../../broker/secrets.ts';
import type { World } from '../../broker/world.ts';
import { GrantryError } from '../../protocol/errors.ts';
import { readFlowCookie, setFlowCookie } from '../cookies.ts';
import { mostParameters } from './callback-query.ts';

/** What a visitor brings: the flow cookie and a form. */

/** The browser's own secret, made and set when it has none. */
export function ensureBrowser(world: World, req: Request, res: Response): string {
  const browser = readBrowser(readFlowCookie(req, world.publicUrl)) ?? newSecret(world);
  setFlowCookie(res, world.publicUrl, browser);
  return browser;
}

/** The browser's own secret, when it has one of ours. */
export const browserOf = (world: World, req: Request) => readBrowser(readFlowCookie(req, world.publicUrl));

/** The fields of a posted form; the last value of a name counts. */
export function formOf(req: Request): Record<string, string> {
  const body: unknown = req.body;
  if (typeof body !== 'string') return {};
  const pairs = [...new URLSearchParams(body)].filter(([name]) => !['__proto__', 'constructor', 'prototype'].includes(name));
  if (pairs.length > mostParameters) throw new GrantryError('invalid_request', { detail: 'The form has too many fields.' });
  return Object.fromEntries(pairs);
}
