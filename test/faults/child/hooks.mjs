/** `node --import ./hooks.mjs app.ts` runs an application of this repository's TypeScript in a process of its own. */
import { register } from 'node:module';

register('../../support/typescript-hooks.mjs', import.meta.url);
