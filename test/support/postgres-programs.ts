import { describe } from '@jest/globals';
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, writeSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from '../../dev/embedded-postgres/postgres-binaries.js';
import { isExecutable } from './executable.js';

/** A complete PostgreSQL that is installed here, as opposed to the server alone that npm has. */
export interface PostgresPrograms extends PostgresBinaries {
  readonly folder: string;
  /** The major version of all of them. */
  readonly version: number;
  /** Runs one of them to its end. Rejects with what it wrote to its error output, if it fails. */
  run(program: string, args: readonly string[]): Promise<void>;
}

const NEEDED = ['pg_dump', 'pg_restore', 'psql', 'initdb', 'pg_ctl', 'postgres'];

/** Returns the newest complete PostgreSQL, undefined if there is none. Debian keeps each version in a folder of its own. */
export function findPostgresPrograms(): PostgresPrograms | undefined {
  const folders = [...debianFolders(), ...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean)];
  const folder = folders.find((each) => NEEDED.every((program) => isExecutable(join(each, program))));
  if (folder === undefined) return undefined;
  const version = Number(/\d+/.exec(execFileSync(join(folder, 'pg_dump'), ['--version'], { encoding: 'utf8' }))?.[0]);
  return {
    folder,
    version,
    initdb: join(folder, 'initdb'),
    pgCtl: join(folder, 'pg_ctl'),
    postgres: join(folder, 'postgres'),
    run: async (program, args) => {
      const env = { ...process.env, LC_ALL: 'C' };
      await promisify(execFile)(join(folder, program), args, { env, timeout: 60_000 }).catch((error: Failure) => {
        throw new Error(`${program} failed: ${error.stderr ?? error.message}`, { cause: error });
      });
    },
  };
}

interface Failure extends Error {
  readonly stderr?: string;
}

/** A suite that needs a complete PostgreSQL: without one it is skipped, and one line says so; where `CI` is set it fails. */
export function describeWithPostgresPrograms(name: string, suite: (programs: PostgresPrograms) => void): void {
  const programs = findPostgresPrograms();
  const remedy = 'pg_dump and a server of its version are not installed (on Debian: "apt-get install postgresql")';
  if (programs === undefined && process.env['CI']) throw new Error(`${name}: ${remedy}.`);
  // Not by console, which the option --silent of Jest switches off.
  if (programs === undefined) writeSync(2, `Skipped, because ${remedy}: ${name}.\n`);
  const declare = programs === undefined ? describe.skip : describe;
  declare(name, () => {
    suite(programs!); // Used by tests and hooks only, which do not run without it.
  });
}

function debianFolders(): string[] {
  const root = '/usr/lib/postgresql';
  return versionsIn(root)
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'));
}

function versionsIn(root: string): string[] {
  try {
    return readdirSync(root);
  } catch {
    return []; // Not Debian, or no PostgreSQL.
  }
}
