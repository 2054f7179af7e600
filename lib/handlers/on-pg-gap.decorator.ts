import type { PgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import { handlerDecorator } from './handler-metadata.js';
import type { OnPgGapOptions } from './handler-options.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** Decorates a method that takes a gap and, if it likes, the context. */
export type PgGapHandlerDecorator = <H extends (gap: PgGap, context: PgNotifyContext) => unknown>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/**
 * Calls the method whenever notifications of the channel may have been missed: read the full state in it. At the start it
 * is called once, for the reason `start`: it is the warm-up as well.
 *
 * A gap is a barrier for the `@OnPgNotify` methods that the same provider has for the same channel. What was received
 * before it is handled first; then they stop, the method runs, and when it has succeeded they go on with what was
 * received since. When it fails, it is called again, with growing delays, until it succeeds; a newer gap has it called at once,
 * and is merged with the one that waits unless something was received in between. What overflows meanwhile adds to its
 * `dropped`.
 *
 * ```ts
 * @OnPgGap(ProductChanges)
 * async reload(gap: PgGap) { this.products = await this.loadAll(); }
 * ```
 *
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
 */
export function OnPgGap(channel: string | PgChannel, options: OnPgGapOptions = {}): PgGapHandlerDecorator {
  return handlerDecorator({ kind: 'gap', channel, options });
}
