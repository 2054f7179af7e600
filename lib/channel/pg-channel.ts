import { PgNotifyError } from '../pg-notify.errors.js';
import { checkChannelName } from './channel-name.js';
import type { PgPayloadCodec } from './payload-codec.js';

declare const payloadType: unique symbol;

/** Marks what definePgChannel() has made and checked; registered, so that two copies of this package agree on it. */
const DEFINED = Symbol.for('nest-pg-notify:channel');

/** One definition of a channel, made by {@link definePgChannel}: its name, its codec and its payload's type. */
export interface PgChannel<T = unknown> {
  readonly name: string;
  readonly codec: PgPayloadCodec;
  /** Only for the compiler: carries the payload's type. */
  readonly [payloadType]?: T;
}

export interface PgChannelOptions {
  /**
   * How payloads are written and read.
   *
   * @default 'auto'
   */
  readonly codec?: PgPayloadCodec;
}

const CODECS: readonly PgPayloadCodec[] = ['auto', 'json', 'text'];

/**
 * Defines a channel once, for handlers, streams and `notify()` alike. The type parameter is the payload's type; it
 * is a statement of yours about the senders, not a check.
 *
 * ```ts
 * export const OrderEvents = definePgChannel<OrderEvent>('order_events');
 * ```
 *
 * @param name 1 to 63 bytes, used exactly as written: in SQL, `NOTIFY orderEvents` without quotes is sent to
 * `orderevents`, which is another channel.
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry.
 */
export function definePgChannel<T extends string = string>(
  name: string,
  options: PgChannelOptions & { readonly codec: 'text' },
): PgChannel<T>;
export function definePgChannel<T = unknown>(
  name: string,
  options?: PgChannelOptions & { readonly codec?: 'auto' | 'json' },
): PgChannel<T>;
export function definePgChannel(name: string, options: PgChannelOptions = {}): PgChannel {
  checkChannelName(name);
  const codec = options.codec ?? 'auto';
  if (!CODECS.includes(codec)) {
    throw new PgNotifyError(
      'configuration',
      `Channel ${JSON.stringify(name)} has the unknown codec ${JSON.stringify(codec)}; use one of ${CODECS.join(', ')}.`,
      { channel: name },
    );
  }
  return Object.freeze(Object.defineProperty({ name, codec }, DEFINED, { value: true }));
}

/** The name of a channel that was given by its name or by its definition. */
export function channelName(channel: string | PgChannel): string {
  return toPgChannel(channel).name;
}

/**
 * The definition behind what a user wrote: a plain name means the default codec.
 *
 * @throws PgNotifyError of kind `channel` for anything that is neither a definition nor a name PostgreSQL can carry.
 */
export function toPgChannel<T>(channel: string | PgChannel<T>): PgChannel<T> {
  if (typeof channel === 'string' || channel === undefined || channel === null) return definePgChannel<T>(channel);
  if (typeof channel === 'object' && DEFINED in channel) return channel;
  throw new PgNotifyError('channel', 'A channel must be a name, or what definePgChannel() has returned.');
}
