import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** The fields of package.json that a release needs. */
export interface PackageManifest {
  readonly version: string;
  readonly author?: string | { readonly name?: string };
  readonly homepage?: string;
  readonly bugs?: string | { readonly url?: string; readonly email?: string };
  readonly repository?: string | { readonly url?: string };
}

/** What stands in the repository when somebody wants to release it. */
export interface ReleaseCandidate {
  readonly manifest: PackageManifest;
  /** The version that package-lock.json gives to the package. */
  readonly lockedVersion: string | undefined;
  readonly changelog: string;
  /** What differs from the commit, as `git status --porcelain` prints it. */
  readonly uncommitted: readonly string[];
  /** The tags of versions (`v1.2.3`) on the commit that is checked out. */
  readonly tagsHere: readonly string[];
  /** All tags of versions. */
  readonly tags: readonly string[];
}

/** Reads the candidate from the folder of a Git repository. */
export async function readReleaseCandidate(folder: string): Promise<ReleaseCandidate> {
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
  const git = async (...args: string[]): Promise<string[]> =>
    (await execFileAsync('git', args, { cwd: folder })).stdout.split('\n').filter((line) => line !== '');
  const lock = JSON.parse(await read('package-lock.json')) as { readonly version?: string };
  return {
    manifest: JSON.parse(await read('package.json')) as PackageManifest,
    lockedVersion: lock.version,
    changelog: await read('CHANGELOG.md'),
    uncommitted: await git('status', '--porcelain'),
    tagsHere: await git('tag', '--points-at', 'HEAD', '--list', 'v*'),
    tags: await git('tag', '--list', 'v*'),
  };
}
