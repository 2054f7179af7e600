import { loadTypeScript } from '../../dev/typescript/load-typescript.mjs';
import { buildPrograms } from './test-programs.mjs';

loadTypeScript();
const { startTestRun } = await import('./test-run.ts');

/** Jest's global setup: builds the programs and starts the PostgreSQL server that all tests of this run share. */
export default async function () {
  await buildPrograms();
  await startTestRun();
}
