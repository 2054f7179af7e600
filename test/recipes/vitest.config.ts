import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const LIB = join(import.meta.dirname, '../../lib');

/** Runs the tests that pages show, by Vitest as `nest new` sets it up: with the files that it looks for. */
export default defineConfig({
  resolve: {
    alias: [
      { find: /^nest-pg-notify$/, replacement: join(LIB, 'index.ts') },
      { find: /^nest-pg-notify\/(events|testing|triggers)$/, replacement: join(LIB, '$1/index.ts') },
    ],
  },
  test: {
    root: import.meta.dirname,
    globals: true,
    include: ['**/*.spec.ts'],
    // One process loads Nest and the library once, for all files.
    isolate: false,
    maxWorkers: 1,
    // As for Jest: for tests that hang, not for machines that are busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
