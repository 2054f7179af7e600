import type { PgChannel } from '../channel/pg-channel.js';
import type { PgEvent } from '../event-log/pg-event.js';
import { handlerDecorator } from '../handlers/handler-metadata.js';
import type { OnPgEventOptions, PgEventBatchOptions } from './on-pg-event.options.js';
import type { PgEventContext } from './pg-event.context.js';

/** The type of a channel's payload; for a union of channels, the union of their payloads' types. */
type PayloadOf<Channel> = Channel extends PgChannel<infer Payload, unknown> ? Payload : never;

/** Decorates a method that takes an event's payload and, optionally, the event and the context. */
export type PgEventHandlerDecorator<T> = <
  // eslint-disable-next-line typescript/no-explicit-any -- The module's option `unitOfWork` decides the type of `tx`.
  H extends (payload: T, event: PgEvent<T>, context: PgEventContext<any>) => unknown,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/** Decorates a method that takes the payloads of several events and, optionally, the events and the context. */
export type PgEventBatchHandlerDecorator<T> = <
  // eslint-disable-next-line typescript/no-explicit-any -- As above.
  H extends (payloads: T[], events: PgEvent<T>[], context: PgEventContext<any>) => unknown,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

type BatchOptions = OnPgEventOptions & { readonly batch: PgEventBatchOptions };
type SingleOptions = OnPgEventOptions & { readonly batch?: never };

/**
 * Calls the method for each event of one or several channels, given by name or by a definition of `definePgChannel()`, whose
 * payload type the method must accept. Each consumer name gets every event once, however many instances run, and again if the
 * method fails or the process ends before it has settled. Events of one key are handled in order.
 *
 * It works on providers and controllers. A method may have several of these decorators, each with its own consumer name. Guards,
 * interceptors, pipes and filters of the class and the method run, as in Nest's controllers; pipes get the payload, as a `body`,
 * and nothing else. An event becomes a dead letter at once if a guard rejects it, if its payload does not match the channel's
 * schema, or if the method throws a {@link PgEventRejection}.
 *
 * ```ts
 * @OnPgEvent(OrderEvents, { consumer: 'billing' })
 * charge(order: Order, event: PgEvent<Order>, { signal }: PgEventContext) { … }
 * ```
 *
 * @throws PgNotifyError of kind `channel` for a channel name that PostgreSQL does not allow. Invalid options make the bootstrap
 * fail with an error of kind `configuration`.
 */
export function OnPgEvent<T>(channel: PgChannel<T, unknown>, options: BatchOptions): PgEventBatchHandlerDecorator<T>;
export function OnPgEvent<T>(channel: PgChannel<T, unknown>, options: SingleOptions): PgEventHandlerDecorator<T>;
export function OnPgEvent<const Channels extends readonly PgChannel[]>(
  channels: Channels,
  options: BatchOptions,
): PgEventBatchHandlerDecorator<PayloadOf<Channels[number]>>;
export function OnPgEvent<const Channels extends readonly PgChannel[]>(
  channels: Channels,
  options: SingleOptions,
): PgEventHandlerDecorator<PayloadOf<Channels[number]>>;
export function OnPgEvent(
  channels: string | readonly (string | PgChannel)[],
  options: OnPgEventOptions,
): MethodDecorator;
export function OnPgEvent(
  channels: string | PgChannel | readonly (string | PgChannel)[],
  // The default is invalid, but it lets the bootstrap report the missing consumer together with the method's name.
  options: Partial<OnPgEventOptions> = {},
): MethodDecorator {
  const list = Array.isArray(channels)
    ? (channels as readonly (string | PgChannel)[])
    : [channels as string | PgChannel];
  return handlerDecorator({ kind: 'event', channels: list, options });
}
