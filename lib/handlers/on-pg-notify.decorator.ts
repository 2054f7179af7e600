import 'reflect-metadata';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgNotification } from '../channel/pg-notification.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { DEFAULT_REGISTRATION } from '../pg-notify.tokens.js';

export interface OnPgNotifyOptions {
  /**
   * The registration that listens, where an application has several.
   *
   * @default 'default'
   */
  readonly registration?: string;
}

/** One use of `@OnPgNotify` on a method. */
export interface PgNotifyHandlerMetadata {
  readonly channel: string | PgChannel;
  readonly registration: string;
}

/** Decorates a method that takes the payload of a notification and, if it likes, the notification. */
export type PgNotifyHandlerDecorator<T> = <H extends (payload: T, notification: PgNotification<T>) => unknown>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

const HANDLERS = Symbol('nest-pg-notify:handlers');

/**
 * Calls the method for each notification of the channel: one at a time, in the order in which the server sent them.
 * A method may carry several of these decorators, on providers and on controllers alike; each is a handler of its own,
 * with a queue of its own. What the method throws is logged, with the handler and the channel, and goes no further.
 *
 * ```ts
 * @OnPgNotify(ProductChanges)
 * evict(change: ProductChange, notification: PgNotification<ProductChange>) { … }
 * ```
 *
 * @param channel A name, or a definition made by `definePgChannel()`, whose payload's type the method must accept.
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
 */
export function OnPgNotify(channel: string, options?: OnPgNotifyOptions): MethodDecorator;
export function OnPgNotify<T>(channel: PgChannel<T>, options?: OnPgNotifyOptions): PgNotifyHandlerDecorator<T>;
export function OnPgNotify(channel: string | PgChannel, options: OnPgNotifyOptions = {}): MethodDecorator {
  toPgChannel(channel);
  const { registration = DEFAULT_REGISTRATION } = options;
  return (target, name, descriptor) => {
    const method: unknown = descriptor.value;
    if (typeof target === 'function' || typeof method !== 'function') {
      throw new PgNotifyError(
        'configuration',
        `@OnPgNotify('${channelName(channel)}') stands on ${String(name)}, which is not a method of instances: move it to one.`,
      );
    }
    const others = handlersOf(method);
    Reflect.defineMetadata(HANDLERS, [{ channel, registration }, ...others], method);
  };
}

/** The uses of `@OnPgNotify` on a method, in the order in which they are written. */
export function handlersOf(method: object): readonly PgNotifyHandlerMetadata[] {
  return (Reflect.getOwnMetadata(HANDLERS, method) as readonly PgNotifyHandlerMetadata[] | undefined) ?? [];
}
