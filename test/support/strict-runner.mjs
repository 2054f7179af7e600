import { setTimeout as delay } from 'node:timers/promises';
import circus from 'jest-circus/runner';

/** In milliseconds. A socket that a test has closed may take a moment to go. */
const LIMIT = 10_000;

/** What keeps a process alive, and is not Jest's: its pipes, and the files that it reads. */
const openResources = () =>
  process
    .getActiveResourcesInfo()
    .filter((resource) => /^(TCP|TLS|UDP|HTTP|Process|Worker|FSEvent|Timeout)/.test(resource));

/**
 * Jest's own way to run the tests of a file, but the file fails if it leaves something open. Jest looks for that only
 * when a worker ends, warns without a name, and does not look at all at workers that it replaces.
 */
export default async function runStrictly(...jest) {
  const before = openResources().length;
  const result = await circus.default(...jest);
  const deadline = Date.now() + LIMIT;
  while (openResources().length > before) {
    if (Date.now() > deadline) throw new Error(`The file leaves something open: ${openResources().join(', ')}.`);
    await delay(10);
  }
  return result;
}
