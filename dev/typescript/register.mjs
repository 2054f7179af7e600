/** `node --import ./dev/typescript/register.mjs x.ts` runs this repository's TypeScript. */
import { loadTypeScript } from './load-typescript.mjs';

loadTypeScript();
