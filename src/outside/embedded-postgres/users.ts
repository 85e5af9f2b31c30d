import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './program.ts';

/**
 * Signs this process in as a user of the server: a file `<pid>-<random>` in `directory`. `leave()` signs it out and says whether it was the
 * last one alive, who then has to stop the server. Those that died without leaving do not count. Synchronous, so that nothing comes between.
 */
export function joinUsers(directory: string): { leave(): { last: boolean } } {
  mkdirSync(directory, { recursive: true });
  livingUsers(directory);
  const own = `${process.pid}-${randomBytes(6).toString('hex')}`;
  writeFileSync(join(directory, own), '');
  return {
    leave: () => {
      rmSync(join(directory, own), { force: true });
      return { last: livingUsers(directory).length === 0 };
    },
  };
}

function livingUsers(directory: string): string[] {
  return readdirSync(directory).filter((name) => {
    const alive = isAlive(Number.parseInt(name, 10));
    if (!alive) rmSync(join(directory, name), { force: true });
    return alive;
  });
}
