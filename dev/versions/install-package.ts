import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const INSTALLED = fileURLToPath(new URL('../../.data/versions/', import.meta.url));

/**
 * Installs one version of an npm package into a folder of its own, at its first use, and returns that folder. It then
 * holds `node_modules`. The package's install scripts do not run.
 *
 * The folder appears complete or not at all, also if two processes install at once.
 */
export async function installPackage(name: string, version: string): Promise<string> {
  const folder = join(INSTALLED, `${basename(name)}-${version}`);
  if (!existsSync(folder)) await install(`${name}@${version}`, folder);
  return folder;
}

async function install(what: string, folder: string): Promise<void> {
  process.stdout.write(`Installing ${what}, which takes a minute and happens once.\n`);
  await mkdir(dirname(folder), { recursive: true });
  const staging = await mkdtemp(`${folder}.npm-`);
  // `--prefix`: npm would otherwise install into the repository, the nearest folder that has a package.json.
  const options = [
    '--prefix',
    staging,
    '--no-save',
    '--no-package-lock',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ];
  try {
    await promisify(execFile)('npm', ['install', ...options, what], { timeout: 300_000 });
    await chmod(staging, 0o755); // PostgreSQL may run as another user.
    await rename(staging, folder);
  } catch (error) {
    if (!existsSync(folder)) throw new Error(`npm could not install ${what}. ${messageOf(error)}`, { cause: error });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
