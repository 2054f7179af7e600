import { onPostgres } from '../../jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...onPostgres,
  rootDir: '../..',
  roots: ['<rootDir>/test/brokers'],
  // Each test waits for a broker and for the processes of its relays more than it computes.
  maxWorkers: 6,
  testTimeout: 60_000,
};
