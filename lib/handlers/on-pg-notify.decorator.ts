import type { PgChannel } from '../channel/pg-channel.js';
import type { PgNotification } from '../channel/pg-notification.js';
import { handlerDecorator } from './handler-metadata.js';
import type { OnPgNotifyOptions, PgBatchOptions } from './handler-options.js';
import type { PgNotifyContext } from './pg-notify.context.js';

/** Decorates a method that takes the payload of a notification and, optionally, the notification and the context. */
export type PgNotifyHandlerDecorator<T> = <
  H extends (payload: T, notification: PgNotification<T>, context: PgNotifyContext) => unknown,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/** Decorates a method that takes the payloads of several notifications and, optionally, these and the context. */
export type PgBatchHandlerDecorator<T> = <
  H extends (payloads: T[], notifications: PgNotification<T>[], context: PgNotifyContext) => unknown,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

type TypedOptions<T> = Omit<OnPgNotifyOptions, 'latest'> & { readonly latest?: true | ((payload: T) => unknown) };

/**
 * Calls the method for each notification of the channel, one at a time and in the order of the server, unless the
 * options say otherwise. A method of a provider or controller may have several of these decorators; each is a separate
 * handler with its own queue. An error of the method is logged with the handler and the channel, and has no further
 * effect. Guards, interceptors, pipes and filters of the class and the method run as in Nest's controllers. Pipes get
 * only the payload, as a `body`. If the method returns a stream, it is run to its end.
 *
 * ```ts
 * @OnPgNotify(ProductChanges)
 * evict(change: ProductChange, notification: PgNotification<ProductChange>, context: PgNotifyContext) { … }
 * ```
 *
 * @param channel A name, or a definition made by `definePgChannel()`, whose payload's type the method must accept.
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry. Options that make no sense together
 * fail the bootstrap, with an error of kind `configuration`.
 */
export function OnPgNotify<T>(
  channel: PgChannel<T, unknown>,
  options: TypedOptions<T> & { readonly batch: PgBatchOptions },
): PgBatchHandlerDecorator<T>;
export function OnPgNotify<T>(
  channel: PgChannel<T, unknown>,
  options?: TypedOptions<T> & { readonly batch?: never },
): PgNotifyHandlerDecorator<T>;
export function OnPgNotify(
  channel: string,
  // eslint-disable-next-line typescript/no-explicit-any -- A name has no payload type.
  options?: Omit<OnPgNotifyOptions, 'latest'> & { readonly latest?: true | ((payload: any) => unknown) },
): MethodDecorator;
export function OnPgNotify(channel: string | PgChannel, options: OnPgNotifyOptions = {}): MethodDecorator {
  return handlerDecorator({ kind: 'notification', channel, options });
}
