import * as nodeModule from 'node:module';
import * as hooks from './hooks.mjs';

/**
 * From here on, this process can import this repository's TypeScript.
 *
 * `packagesOf` is the URL of a module from whose place the library's own imports of packages are resolved, as if the
 * library were installed there.
 */
export function loadTypeScript({ packagesOf } = {}) {
  const data = { packagesOf };
  if (nodeModule.registerHooks) {
    hooks.initialize(data);
    nodeModule.registerHooks({ resolve: hooks.resolve, load: hooks.load });
  } else {
    nodeModule.register('./hooks.mjs', import.meta.url, { data }); // Node 20, and 22 before 22.15.
  }
}
