/**
 * `node --import ./typescript.mjs x.ts`: lets plain Node run this repository's TypeScript, Nest's decorators included.
 * It finds `x.ts` where an import says `./x.js`, and compiles it. What `lib/` imports comes from this folder's
 * node_modules, as if the package were installed here: all that are compared share one Nest and one `pg`.
 */
import { readFile } from 'node:fs/promises';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { transform } from '@swc/core';

// Node runs the hooks below in a thread of their own, which loads this file once more.
if (isMainThread) register(import.meta.url);

const LIBRARY = new URL('../lib/', import.meta.url).href;

export async function resolve(specifier, given, nextResolve) {
  const isPackage = !/^[./]|^node:|^file:/.test(specifier);
  const context = isPackage && given.parentURL?.startsWith(LIBRARY) ? { ...given, parentURL: import.meta.url } : given;
  try {
    return await nextResolve(specifier, context);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^\.{1,2}\/.*\.js$/.test(specifier)) throw error;
    return nextResolve(specifier.replace(/\.js$/, '.ts'), context);
  }
}

export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context);
  const filename = fileURLToPath(url);
  const { code } = await transform(await readFile(filename, 'utf8'), {
    filename,
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'es6' },
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
  });
  return { format: 'module', source: code, shortCircuit: true };
}
