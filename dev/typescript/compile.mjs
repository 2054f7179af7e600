import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/nest-pg-notify/typescript/', import.meta.url));
const { version } = require('@swc/core/package.json');

const OPTIONS = {
  swcrc: false,
  sourceMaps: 'inline',
  module: { type: 'es6' },
  jsc: {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
  },
};

/**
 * Compiles a TypeScript file to an ES module, Nest's decorators included. The result is kept on disk under the file's
 * name and content, so that of many processes that load one file, one compiles it.
 */
export function compile(filename) {
  const source = readFileSync(filename, 'utf8');
  const key = createHash('sha256')
    .update(JSON.stringify([version, OPTIONS, filename, source]))
    .digest('hex');
  const cached = join(CACHE, `${key}.mjs`);
  return readIfPresent(cached) ?? store(cached, transform(filename, source));
}

function transform(filename, source) {
  const { transformSync } = require('@swc/core'); // Loaded only if something has to be compiled: it is large.
  return transformSync(source, { ...OPTIONS, filename }).code;
}

/** Another process may read at any time: the file appears complete or not at all. */
function store(file, code) {
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, code);
  renameSync(unfinished, file);
  return code;
}

function readIfPresent(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
