import { availableParallelism } from 'node:os';

const project = {
  testEnvironment: 'node',
  testRunner: '<rootDir>/test/support/strict-runner.mjs',
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^nest-pg-notify$': '<rootDir>/lib/index.ts',
    '^nest-pg-notify/(events|testing|triggers)$': '<rootDir>/lib/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
        sourceMaps: true,
      },
    ],
  },
};

/** Jest starts the server once, for whichever of the projects that need one are chosen. */
export const onPostgres = {
  ...project,
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
};

/** @type {import('jest').Config} */
export default {
  projects: [
    { ...project, displayName: 'unit', roots: ['<rootDir>/test/unit', '<rootDir>/bench'] },
    { ...onPostgres, displayName: 'e2e', roots: ['<rootDir>/test/e2e'] },
    { ...onPostgres, displayName: 'faults', roots: ['<rootDir>/test/faults'] },
    // Promises about time: they run after all others, and each file has a processor for itself.
    {
      ...onPostgres,
      displayName: 'timing',
      roots: ['<rootDir>/test/timing'],
      runner: '<rootDir>/test/support/apart-runner.mjs',
    },
  ],
  // For tests that hang. How long something may take is an assertion of its test, and a busy machine may be ten times slower
  // than a quiet one.
  testTimeout: 240_000,
  // Three for each core, because tests of servers wait more than they compute; the server that they share has connections
  // for a dozen.
  maxWorkers: Math.min(3 * availableParallelism(), 12),
  // Node never frees the ES modules of a test file, and with a heap of a gigabyte, collecting garbage takes an eighth of all
  // processor time. So a worker that holds so much is replaced.
  workerIdleMemoryLimit: '500MB',
  // On two cores, six workers take longer to give back their memory than the half second that Jest allows.
  workerGracefulExitTimeout: 10_000,
  coverageProvider: 'v8',
  // Without the command line, whose tests start processes of their own.
  collectCoverageFrom: ['lib/**/*.ts', '!lib/cli/**'],
  coverageReporters: ['text', 'html'],
};
