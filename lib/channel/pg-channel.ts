import type { StandardSchemaV1 } from '@standard-schema/spec';
import { flag, oneOf, optional, orElse, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { checkChannelName } from './channel-name.js';
import type { PgPayloadCodec } from './payload-codec.js';
import { synchronousSchema } from './standard-schema.js';

declare const payloadType: unique symbol;

/**
 * Marks definitions made by definePgChannel(). The symbol is registered, so that two copies of this package share it.
 */
const DEFINED = Symbol.for('nest-pg-notify:channel');
/** Must be raised with every change of a definition that an older copy of this package would misread. */
const VERSION = 1;

/** The hidden part of a definition. */
interface Mark {
  readonly version: number;
  /** See {@link symbolOf}. */
  readonly symbols: Map<string, symbol>;
}

/**
 * One definition of a channel, made by {@link definePgChannel}: its name, its codec, its schema, and the types of its
 * payload. Handlers get one type and `notify()` takes the other; they differ if the schema transforms.
 */
export interface PgChannel<Payload = unknown, Input = Payload> {
  readonly name: string;
  readonly codec: PgPayloadCodec;
  readonly schema?: StandardSchemaV1;
  readonly fold: boolean;
  /** Carries the payload's types for the compiler; it has no value. */
  readonly [payloadType]?: { readonly payload: Payload; readonly input: Input };
}

/** What {@link definePgChannel} takes beside the name. */
export interface PgChannelOptions {
  /**
   * Checks each payload when it is sent and when it is received. It takes any synchronous Standard Schema (zod,
   * valibot, arktype, …: https://standardschema.dev). `notify()` sends its input unchanged; handlers get its output. A
   * payload that does not match is an error of kind `payload`, and reaches no handler. A schema that returns a promise
   * is an error of kind `configuration`: use a pipe of the handler for asynchronous checks.
   */
  readonly schema?: StandardSchemaV1;
  /**
   * How payloads are written and read.
   *
   * @default 'auto'
   */
  readonly codec?: PgPayloadCodec;
  /**
   * Whether equal notifications that wait to be sent become one, which is enough for wake-ups. Without it, two calls of
   * `notify()` always deliver two notifications.
   *
   * @default false
   */
  readonly fold?: boolean;
}

const CODECS: readonly PgPayloadCodec[] = ['auto', 'json', 'text'];

const OPTIONS = {
  schema: optional(synchronousSchema),
  codec: orElse('auto', oneOf(CODECS)),
  fold: orElse(false, flag),
} satisfies ChecksOf<PgChannelOptions>;

/** The definition of a channel that was given by its name only. */
const PLAIN = readOptions('a channel', {}, OPTIONS);

/**
 * Defines a channel once, for handlers, streams and `notify()` alike. With a schema the payload's types are inferred
 * from it, and every payload is checked. Without a schema the type parameter is your statement about the senders;
 * nothing is checked.
 *
 * ```ts
 * export const OrderEvents = definePgChannel<OrderEvent>('order_events');
 * export const StockChanges = definePgChannel('stock_changes', { schema: z.object({ id: z.number() }) });
 * ```
 *
 * @param name 1 to 63 bytes, used exactly as written: in SQL, `NOTIFY orderEvents` without quotes is sent to
 * `orderevents`, which is another channel.
 * @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry, and of kind `configuration` for
 * invalid options.
 */
export function definePgChannel<Schema extends StandardSchemaV1>(
  name: string,
  options: Omit<PgChannelOptions, 'schema'> & { readonly schema: Schema },
): PgChannel<StandardSchemaV1.InferOutput<Schema>, StandardSchemaV1.InferInput<Schema>>;
export function definePgChannel<T extends string = string>(
  name: string,
  options: PgChannelOptions & { readonly codec: 'text'; readonly schema?: never },
): PgChannel<T>;
export function definePgChannel<T = unknown>(
  name: string,
  options?: PgChannelOptions & { readonly codec?: 'auto' | 'json'; readonly schema?: never },
): PgChannel<T>;
export function definePgChannel(name: string, options?: PgChannelOptions): PgChannel {
  checkChannelName(name);
  const { codec, schema, fold } =
    options === undefined ? PLAIN : readOptions(`the channel ${JSON.stringify(name)}`, options, OPTIONS);
  const definition = { name, codec, fold, ...(schema && { schema }) };
  return Object.freeze(Object.defineProperty(definition, DEFINED, { value: markOf() }));
}

function markOf(): Mark {
  return { version: VERSION, symbols: new Map() };
}

/**
 * Returns the symbol of this definition for a text, always the same one. Two definitions of one channel may decode
 * differently, and have the same name.
 */
export function symbolOf(definition: PgChannel, text: string): symbol {
  const { symbols } = (definition as unknown as { readonly [DEFINED]: Mark })[DEFINED];
  const symbol = symbols.get(text) ?? Symbol(text);
  symbols.set(text, symbol);
  return symbol;
}

/** What listening and sending need of a channel. */
export type ChannelProperties = Pick<PgChannel, 'name' | 'codec' | 'schema' | 'fold'>;

/**
 * The properties of a channel that was given by its name or by its definition. For a plain name no definition is made.
 *
 * @throws PgNotifyError of kind `channel`, as {@link toPgChannel} does.
 */
export function channelProperties(channel: string | PgChannel): ChannelProperties {
  return typeof channel === 'string' ? { name: checkChannelName(channel), ...PLAIN } : toPgChannel(channel);
}

/**
 * The name of a channel that was given by its name or by its definition.
 *
 * @throws PgNotifyError of kind `channel`, as {@link toPgChannel} does.
 */
export function channelName(channel: string | PgChannel): string {
  return typeof channel === 'string' ? checkChannelName(channel) : toPgChannel(channel).name;
}

/**
 * The definition behind what a user wrote: a plain name means the default codec and no schema.
 *
 * @throws PgNotifyError of kind `channel` for anything that is neither a definition nor a name PostgreSQL can carry.
 */
export function toPgChannel<Payload, Input>(channel: string | PgChannel<Payload, Input>): PgChannel<Payload, Input> {
  if (typeof channel === 'string' || channel === undefined || channel === null) {
    return definePgChannel(channel) as PgChannel<Payload, Input>;
  }
  if (typeof channel !== 'object' || !(DEFINED in channel)) {
    throw new PgNotifyError('channel', 'A channel must be a name or a definition made by definePgChannel().');
  }
  const { version } = channel[DEFINED] as Mark;
  if (version === VERSION) return channel;
  throw new PgNotifyError(
    'channel',
    `The channel ${JSON.stringify(channel.name)} was defined by another version of nest-pg-notify, whose definitions this one cannot read ` +
      `(form ${String(version)}, not ${VERSION}). Install a single version: "npm ls nest-pg-notify" shows which package brings the other.`,
    { channel: channel.name },
  );
}
