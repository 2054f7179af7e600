import { dirname } from 'node:path';
import config from '../jest.config.js';

const rootDir = dirname(import.meta.dirname);

/** Main tests on a server: LISTEN, recovery, publishing, events, triggers and poolers. */
const ON_SERVER = {
  e2e: ['channels', 'contract-*', 'events-*', 'recovery', 'notify-*', 'group-commit', 'triggers*'],
  faults: ['lost-registration', 'poolers', 'publish-through-pooler'],
};

const WITHOUT_CODE = [
  // They read pages and sources, or start processes of their own, and cover nothing.
  '/(architecture|documented-defaults|entries|page-specs|pages|release-check|test-readme|typescript-blocks)\\.test\\.ts$',
  // It looks for a few bytes, and V8 keeps more than that for its counts of what is covered.
  '/kept-memory\\.test\\.ts$',
];

/**
 * The unit tests and the main tests on a server, for runs that must take little time: `npm run coverage`, and without the
 * unit tests `npm run test:oldest`.
 *
 * @type {import('jest').Config}
 */
export default {
  ...config,
  rootDir,
  projects: config.projects
    .filter(({ displayName }) => displayName === 'unit' || ON_SERVER[displayName])
    .map((project) => ({
      ...project,
      rootDir,
      testMatch: ON_SERVER[project.displayName]?.map((name) => `**/${name}.test.ts`) ?? project.testMatch,
      testPathIgnorePatterns: WITHOUT_CODE,
    })),
  // After each file, V8 counts what is covered of all that the worker has ever loaded.
  workerIdleMemoryLimit: '150MB',
  // A little below what they cover.
  coverageThreshold: { global: { statements: 96, branches: 94, functions: 93 } },
};
