import { onPostgres } from '../../jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...onPostgres,
  rootDir: '../..',
  roots: ['<rootDir>/test/neighbours'],
  testTimeout: 240_000,
  maxWorkers: 2,
};
