import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs a shell script (with `args` as $1, $2 ...) that reads its input to the end and then cleans up. The input ends when `end()` is called
 * (which waits for the script), and also when this process is killed: so nothing is left behind. It is detached: Ctrl-C does not reach it.
 */
export function spawnTied(script: string, args: readonly string[]): { end(): Promise<void> } {
  const child = spawn('sh', ['-c', script, 'sh', ...args], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const exited = once(child, 'exit');
  child.unref();
  return {
    end: async () => {
      child.ref();
      child.stdin.end();
      await exited;
    },
  };
}
