import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
const { startTestRun } = await import('./test-run.ts');

/** Jest's global setup: starts the PostgreSQL server that all tests of this run share. */
export default startTestRun;
