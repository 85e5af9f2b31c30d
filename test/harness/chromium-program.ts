import { aptInstall, firstProgram } from './apt.ts';
import type { Provided } from './provided.ts';

const names = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** For the global setup: the browser at CHROMIUM_PATH, else an installed Chromium or Chrome, else one installed with apt when that is possible. */
export async function findChromium(): Promise<Provided> {
  const given = process.env.CHROMIUM_PATH;
  const find = () => (given ? firstProgram([given]) : firstProgram(names));
  const path = find() ?? (!given && (await aptInstall('chromium')) ? find() : undefined);
  if (path !== undefined) return { value: path };
  return {
    missing: given ? `There is no browser at CHROMIUM_PATH (${given}).` : 'Tests of pages need a browser: set CHROMIUM_PATH, or install chromium.',
  };
}
