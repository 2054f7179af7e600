import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/**
 * The arguments of Node that run a TypeScript file of this repository, named from its root, in a process of its own:
 * as the bundle that the test run has built of it, if it has, for that starts in half the time.
 */
export function runTypeScript(path: string): readonly string[] {
  const programs = process.env['TEST_PROGRAMS'];
  const bundle = programs && join(programs, path.replace(/\.ts$/, '.mjs'));
  if (bundle && existsSync(bundle)) return [bundle];
  return ['--import', join(ROOT, 'dev/typescript/register.mjs'), join(ROOT, path)];
}

/** The arguments of Node that run `nest-pg-notify`, the command line. */
export const RUN_COMMAND_LINE = runTypeScript('lib/cli/main.ts');
