import config from '../../jest.config.js';

const [{ testEnvironment, testRunner, extensionsToTreatAsEsm, moduleNameMapper, transform }] = config.projects;

/**
 * The page of the sample app in a real browser: `npm run test:browser`. One file after the other, because they promise how
 * fast the page notices something.
 *
 * @type {import('jest').Config}
 */
export default {
  rootDir: '../..',
  roots: ['<rootDir>/test/browser'],
  testMatch: ['**/*.test.ts'],
  testEnvironment,
  testRunner,
  extensionsToTreatAsEsm,
  moduleNameMapper,
  transform,
  testTimeout: 60_000,
  maxWorkers: 1,
};
