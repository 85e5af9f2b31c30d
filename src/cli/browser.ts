import { spawn } from 'node:child_process';

/** Opens an address in the browser of whoever sits here; false when there is none to be found. */
export async function openBrowser(url: string, env = process.env): Promise<boolean> {
  const [program, ...before] = env.BROWSER
    ? [env.BROWSER]
    : process.platform === 'darwin'
      ? ['open']
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '']
        : ['xdg-open'];
  if (program === undefined) return false;
  return new Promise((resolve) => {
    const opened = spawn(program, [...before, url], { stdio: 'ignore', detached: true });
    opened.on('error', () => resolve(false));
    opened.on('spawn', () => {
      opened.unref();
      resolve(true);
    });
  });
}
