import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

/** Where and with what a run was made. */
export interface Environment {
  /** The last commit that changed the library; `-dirty` is appended if it was changed since. */
  readonly commit: string;
  readonly date: string;
  /** What followed `npm run bench --`. */
  readonly options: readonly string[];
  readonly node: string;
  readonly postgresql: string;
  readonly cpus: number;
  readonly cpu: string;
  /** The load average of one minute. */
  readonly load: { readonly before: number; readonly after: number };
  readonly versions: Readonly<Record<string, string>>;
}

const COMPARED = [
  'pg',
  '@nestjs/core',
  'rxjs',
  'pg-listen',
  'pg-pubsub',
  'postgres',
  'nestjs-pg-notify',
  'pg-boss',
  'graphile-worker',
];

export function describeEnvironment(postgresql: string, loadBefore: number): Environment {
  return {
    commit: libraryCommit(),
    date: new Date().toISOString(),
    options: process.argv.slice(2),
    node: process.versions.node,
    postgresql,
    cpus: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    load: { before: loadBefore, after: loadNow() },
    versions: Object.fromEntries(COMPARED.map((name) => [name, versionOf(name)])),
  };
}

export function loadNow(): number {
  return loadavg()[0] ?? 0;
}

function libraryCommit(): string {
  const commit = git('log', '-1', '--abbrev=12', '--format=%h', '--', 'lib');
  return git('status', '--porcelain', '--', 'lib') === '' ? commit : `${commit}-dirty`;
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: new URL('../..', import.meta.url), encoding: 'utf8' }).trim();
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
