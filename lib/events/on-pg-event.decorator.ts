import type { PgChannel } from '../channel/pg-channel.js';
import type { PgEvent } from '../event-log/pg-event.js';
import { handlerDecorator } from '../handlers/handler-metadata.js';
import type { OnPgEventOptions, PgEventBatchOptions } from './on-pg-event.options.js';
import type { PgEventContext } from './pg-event.context.js';

/** The payload's type of a channel; of several, all of theirs. */
type PayloadOf<Channel> = Channel extends PgChannel<infer Payload, unknown> ? Payload : never;

/** Decorates a method that takes the payload of an event and, if it likes, the event and the context. */
export type PgEventHandlerDecorator<T> = <
  // eslint-disable-next-line typescript/no-explicit-any -- What `tx` is, the option `unitOfWork` of the module decides.
  H extends (payload: T, event: PgEvent<T>, context: PgEventContext<any>) => unknown,
>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/** Decorates a method that takes the payloads of several events and, if it likes, these and the context. */
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
 * Calls the method for each event of one channel or of several (names, or definitions made by `definePgChannel()`, whose
 * payloads' types the method must accept): once for each consumer name, whatever the number of instances, and again if
 * it fails or the process ends meanwhile. Events of one key are handled in their order. A method may carry several of these
 * decorators, on providers and on controllers alike, each with a consumer name of its own. Guards, interceptors, pipes and
 * filters of the class and the method run, as in Nest's controllers; pipes are given the payload, as a `body`, and nothing
 * else. An event that a guard rejects, whose payload does not match the channel's schema, or whose handler throws a
 * {@link PgEventRejection} is a dead letter at once.
 *
 * ```ts
 * @OnPgEvent(OrderEvents, { consumer: 'billing' })
 * charge(order: Order, event: PgEvent<Order>, { signal }: PgEventContext) { … }
 * ```
 *
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry. Options that make no sense together
 * fail the bootstrap, with an error of kind `configuration`.
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
  // Without any it is one without a consumer: the bootstrap says what to write, and where.
  options: Partial<OnPgEventOptions> = {},
): MethodDecorator {
  const list = Array.isArray(channels)
    ? (channels as readonly (string | PgChannel)[])
    : [channels as string | PgChannel];
  return handlerDecorator({ kind: 'event', channels: list, options });
}
