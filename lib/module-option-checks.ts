import { types } from 'node:util';
import { invalidOption, readOptions, shown } from './option-checks.js';
import { PgNotifyError } from './pg-notify.errors.js';

/**
 * Checks that `forRoot()` got an object. Nest would take a string apart, and nothing of a promise.
 *
 * @throws PgNotifyError of kind `configuration`.
 */
export function checkGiven(module: string, options: unknown): void {
  const owner = `${module}.forRoot()`;
  if (types.isPromise(options)) {
    throw refused(
      owner,
      `takes its options at once, not as a promise. Write ${module}.forRootAsync({ useFactory: async () => … }).`,
    );
  }
  if (typeof options !== 'object' || Array.isArray(options)) readOptions(owner, options, {});
}

/** The part of the options of `forRootAsync()` that says where the module's options come from. */
interface AsyncSource {
  readonly useFactory?: unknown;
  readonly useClass?: unknown;
  readonly useExisting?: unknown;
}

/**
 * Checks where the options of a module come from. Nest fails without naming the module, and ignores one of two sources.
 *
 * @throws PgNotifyError of kind `configuration` unless there is exactly one, of a usable type.
 */
export function checkAsyncSource(owner: string, { useFactory, useClass, useExisting }: AsyncSource): void {
  const given = Object.entries({ useFactory, useClass, useExisting }).filter(([, source]) => source !== undefined);
  if (given.length !== 1) {
    const names = given.map(([name]) => name).join(' and ');
    throw refused(
      owner,
      `takes one of useFactory, useClass and useExisting, ${names ? `not ${names}` : 'and got none'}.`,
    );
  }
  for (const [path, source] of given) {
    if (path === 'useExisting' || typeof source === 'function') continue;
    throw invalidOption(
      { owner, path },
      `must be a ${path === 'useClass' ? 'class' : 'function'}, not ${shown(source)}`,
    );
  }
}

function refused(owner: string, what: string): PgNotifyError {
  return new PgNotifyError('configuration', `${owner} ${what}`);
}
