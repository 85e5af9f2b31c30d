import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Installs a Debian package when we are root on a Debian; says whether it is there now. Only one installation runs at a time on the machine
 * (flock), as several test runs may want one. What apt printed on failure goes to stderr.
 */
export async function aptInstall(name: string): Promise<boolean> {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) return false;
  process.stderr.write(`Installing ${name} for the tests (apt-get)\n`);
  const install = `apt-get install -y --no-install-recommends ${name}`;
  try {
    await run('flock', ['/var/lock/grantry-apt', 'sh', '-c', `${install} || { apt-get update && ${install}; }`], {
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
      maxBuffer: 64 * 1024 * 1024,
    });
    return true;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

/** The first of these programs that exists: a path is looked at, a name is searched on PATH. */
export function firstProgram(candidates: readonly (string | undefined)[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  const paths = candidates.flatMap((name) => (!name ? [] : name.includes('/') ? [name] : folders.map((folder) => `${folder}/${name}`)));
  return paths.find((path) => existsSync(path));
}
