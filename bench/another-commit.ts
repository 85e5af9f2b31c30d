import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Another commit of this repository, built in a directory of its own, to be measured beside this one. */
export type AnotherCommit = { dir: string; remove(): Promise<void> };

/** Checks a commit out, installs what its lock file names, and builds its dist/. Throws when git, npm or the build refuse. */
export async function checkOut(commit: string): Promise<AnotherCommit> {
  const dir = await mkdtemp(join(tmpdir(), 'grantry-commit-'));
  const inIt = { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] } satisfies Parameters<typeof execFileSync>[2];
  const remove = async () => {
    execFileSync('git', ['worktree', 'remove', '--force', dir]);
    await rm(dir, { recursive: true, force: true });
  };
  execFileSync('git', ['worktree', 'add', '--force', '--detach', dir, commit], { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], inIt);
    execFileSync(process.execPath, ['scripts/build.mjs'], inIt);
  } catch (error) {
    await remove();
    throw error;
  }
  return { dir, remove };
}
