import { startTestServer, type TestServer } from './test-server.js';

/** Environment variable that tells the processes of a test run where the run's server is, with an admin's rights. */
export const ADMIN_URL_VARIABLE = 'TEST_POSTGRES_ADMIN_URL';

/** The same for its version, e.g. `18.4`. */
export const VERSION_VARIABLE = 'TEST_POSTGRES_VERSION';

let server: TestServer | undefined;

/** Starts the server of a test run, publishes its URL and says in one line which one was taken. */
export async function startTestRun(): Promise<void> {
  const started = await startTestServer(process.env['TEST_POSTGRES'] ?? '');
  server = started;
  process.env[ADMIN_URL_VARIABLE] = started.url;
  process.env[VERSION_VARIABLE] = started.version;
  process.stdout.write(`Tests use PostgreSQL ${started.version}, ${started.origin}.\n`);
}

/** Stops what {@link startTestRun} has started. */
export async function endTestRun(): Promise<void> {
  await server?.stop();
  server = undefined;
}
