import { PgNotifyError } from './pg-notify.errors.js';

/**
 * The part of a standard decorator's second argument that is needed here: https://github.com/tc39/proposal-decorators
 */
interface StandardContext {
  readonly kind: string;
  readonly name?: string | symbol;
}

/**
 * Refuses to work as a standard decorator, because Nest's own decorators do not work as one either.
 *
 * @param written The decorator as it is written, for the message.
 * @param context The decorator's second argument.
 * @throws PgNotifyError of kind `configuration` if it was compiled as a standard decorator.
 */
export function refuseStandardDecorator(written: string, context: unknown): void {
  if (!isStandardContext(context)) return;
  throw new PgNotifyError(
    'configuration',
    `${written} on ${String(context.name)} was compiled as a standard decorator, and Nest works with the older kind: ` +
      `set "experimentalDecorators": true in the tsconfig.json that compiles this file (legacyDecorator for SWC).`,
  );
}

function isStandardContext(context: unknown): context is StandardContext {
  return typeof context === 'object' && context !== null && 'kind' in context && typeof context.kind === 'string';
}
