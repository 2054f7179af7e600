import { fileURLToPath } from 'node:url';

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The arguments of Node that run a TypeScript file of this repository, named from its root, in a process of its own. */
export function runTypeScript(path: string): readonly string[] {
  return ['--import', fromRoot('dev/typescript/register.mjs'), fromRoot(path)];
}

/** The arguments of Node that run `nest-pg-notify`, the command line. */
export const RUN_COMMAND_LINE = runTypeScript('lib/cli/main.ts');
