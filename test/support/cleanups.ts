import { afterAll, afterEach, beforeEach } from '@jest/globals';

type Cleanup = () => unknown;

/** Ends what a test or a file has opened, also when it fails half-way. */
export interface Cleanups {
  /** Runs `end` after the test that calls this, or after the last test when called in `beforeAll`. */
  readonly cleanup: (end: Cleanup) => void;
  /** Closes `resource` at that time, and returns it. */
  readonly use: <T extends { close(): unknown }>(resource: T) => T;
}

/**
 * Registers the hooks for the file, or for the `describe` that calls it. What was opened last is closed first; one that
 * fails does not keep the others open.
 */
export function cleanups(): Cleanups {
  const ofFile: Cleanup[] = [];
  const ofTest: Cleanup[] = [];
  let current = ofFile;

  beforeEach(() => {
    current = ofTest;
  });

  afterEach(async () => {
    current = ofFile;
    await runAll(ofTest);
  });

  afterAll(() => runAll(ofFile));

  return {
    cleanup: (end) => void current.push(end),
    use: (resource) => {
      current.push(() => resource.close());
      return resource;
    },
  };
}

async function runAll(ends: Cleanup[]): Promise<void> {
  const failures: unknown[] = [];
  for (let end = ends.pop(); end; end = ends.pop()) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, 'Several cleanups have failed.');
}
