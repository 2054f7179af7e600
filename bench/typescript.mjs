/**
 * `node --import ./typescript.mjs x.ts` runs TypeScript of this repository. What `lib/` imports comes from this folder's
 * node_modules, as if the package were installed here: all that are compared share one Nest and one `pg`.
 */
import { loadTypeScript } from '../dev/typescript/load-typescript.mjs';

loadTypeScript({ packagesOf: import.meta.url });
