import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from '../../dev/typescript/bundle.mjs';

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/nest-pg-notify');

/** Programs that tests start many times. */
const PROGRAMS = [
  'lib/cli/main.ts',
  'sample-app/main.ts',
  'sample-app/load/main.ts',
  'test/support/child-process.ts',
  'test/support/event-child-process.ts',
  'test/support/event-reader-process.ts',
  'test/support/event-worker-process.ts',
  'test/support/nestjs-cls-app.ts',
  'test/support/nestjs-cls-context.ts',
  'test/support/starting-app.ts',
];

let folder;

/** Bundles them for a test run, and publishes in `TEST_PROGRAMS` where they are. */
export async function buildPrograms() {
  await mkdir(CACHE, { recursive: true });
  folder = await mkdtemp(join(CACHE, 'programs-'));
  await bundle(PROGRAMS, folder);
  process.env.TEST_PROGRAMS = folder;
}

export async function removePrograms() {
  if (folder) await rm(folder, { recursive: true });
  folder = undefined;
}
