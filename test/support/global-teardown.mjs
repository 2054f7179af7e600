import { removePrograms } from './test-programs.mjs';

// The global setup has made this process load TypeScript, and this is the same instance of the module.
const { endTestRun } = await import('./test-run.ts');

/** Jest's global teardown: stops the PostgreSQL server of the run, and removes the programs. */
export default async function () {
  await endTestRun();
  await removePrograms();
}
