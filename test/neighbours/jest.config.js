import { onPostgres } from '../../jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...onPostgres,
  rootDir: '../..',
  roots: ['<rootDir>/test/neighbours'],
  testTimeout: 30_000,
  maxWorkers: 2,
};
