import { loadTypeScript } from '../../dev/typescript/load-typescript.mjs';

loadTypeScript();
const { startTestRun } = await import('./test-run.ts');

/** Jest's global setup: starts the PostgreSQL server that all tests of this run share. */
export default startTestRun;
