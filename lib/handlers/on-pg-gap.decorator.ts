import type { PgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import { handlerDecorator } from './handler-metadata.js';
import type { OnPgGapOptions } from './handler-options.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** Decorates a method that takes a gap and, optionally, the context. */
export type PgGapHandlerDecorator = <H extends (gap: PgGap, context: PgNotifyContext) => unknown>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/**
 * Calls the method whenever notifications of the channel may have been missed. Read the full state in it. It is called
 * once at the start, for the reason `start`, so it also warms up.
 *
 * A gap is a barrier for the `@OnPgNotify` methods of the same provider for the same channel. They first handle
 * everything that was received before the gap, and then stop. The method runs, and when it has succeeded, they go on.
 * If it fails, it is called again with growing delays until it succeeds. A newer gap ends the delay, and is merged with
 * the waiting one unless notifications were received in between. Notifications that overflow meanwhile add to its
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
