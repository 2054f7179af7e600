/**
 * Module hooks that let plain Node run this repository's TypeScript: `resolve` finds `x.ts` if an import says `./x.js`,
 * and the library's source if one names the package; `load` compiles it. They are synchronous, which both of Node's
 * ways to install hooks accept: `registerHooks()` and, before Node 22.15, `register()`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compile } from './compile.mjs';

const ROOT = new URL('../../', import.meta.url).href;
const LIBRARY = new URL('lib/', ROOT).href;
const { name: PACKAGE, exports: ENTRIES } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8'));

/** The module from whose place the library's own imports of packages are resolved, if not from the library's. */
let packagesOf;

/** Called by `register()`, with what was handed over as `data`. */
export function initialize(options) {
  packagesOf = options?.packagesOf;
}

export function resolve(specifier, context, nextResolve) {
  const entry = specifier.startsWith(PACKAGE) && ENTRIES[`.${specifier.slice(PACKAGE.length)}`];
  if (entry?.default) return { url: sourceOf(entry.default), format: 'module', shortCircuit: true };
  if (/^\.{1,2}\/.*\.js$/.test(specifier)) return nextResolve(findTypeScript(specifier, context.parentURL), context);
  if (packagesOf && context.parentURL?.startsWith(LIBRARY) && !/^(\.|node:|file:)/.test(specifier)) {
    return nextResolve(specifier, { ...context, parentURL: packagesOf });
  }
  return nextResolve(specifier, context);
}

export function load(url, context, nextLoad) {
  if (!url.endsWith('.ts') || url.includes('/node_modules/')) return nextLoad(url, context);
  return { format: 'module', source: compile(fileURLToPath(url)), shortCircuit: true };
}

/** `./dist/lib/x.js` of package.json is `lib/x.ts`. */
function sourceOf(file) {
  return new URL(file.replace(/^\.\/dist\//, './').replace(/\.js$/, '.ts'), ROOT).href;
}

function findTypeScript(specifier, parent) {
  const url = new URL(specifier.replace(/\.js$/, '.ts'), parent);
  return url.protocol === 'file:' && existsSync(url) ? specifier.replace(/\.js$/, '.ts') : specifier;
}
