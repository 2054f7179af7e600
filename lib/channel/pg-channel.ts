import type { StandardSchemaV1 } from '@standard-schema/spec';
import { flag, oneOf, optional, orElse, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { checkChannelName } from './channel-name.js';
import type { PgPayloadCodec } from './payload-codec.js';
import { synchronousSchema } from './standard-schema.js';

declare const payloadType: unique symbol;

/** Marks what definePgChannel() has made and checked; registered, so that two copies of this package agree on it. */
const DEFINED = Symbol.for('nest-pg-notify:channel');
/** To be raised with every change of a definition that an older copy of this package would misread. */
const VERSION = 1;

/** What a definition has beside the properties that users see. */
interface Mark {
  readonly version: number;
  /** See {@link symbolOf}. */
  readonly symbols: Map<string, symbol>;
}

/**
 * One definition of a channel, made by {@link definePgChannel}: its name, its codec, its schema and its payload's type:
 * what handlers get, and what `notify()` takes. They differ where a schema transforms.
 */
export interface PgChannel<Payload = unknown, Input = Payload> {
  readonly name: string;
  readonly codec: PgPayloadCodec;
  readonly schema?: StandardSchemaV1;
  readonly fold: boolean;
  /** Only for the compiler: carries the payload's types. */
  readonly [payloadType]?: { readonly payload: Payload; readonly input: Input };
}

/** What {@link definePgChannel} takes beside the name. */
export interface PgChannelOptions {
  /**
   * Checks each payload, when it is sent and when it is received: any Standard Schema (zod, valibot, arktype, …:
   * https://standardschema.dev) that answers at once. `notify()` sends its input as it was given; handlers get its output.
   * What does not match is an error of kind `payload`, and reaches no handler. A schema that returns a promise is an error
   * of kind `configuration`: for asynchronous checks, use a pipe of the handler.
   */
  readonly schema?: StandardSchemaV1;
  /**
   * How payloads are written and read.
   *
   * @default 'auto'
   */
  readonly codec?: PgPayloadCodec;
  /**
   * Whether one notification is enough where several that are equal wait to be sent: for wake-ups. Otherwise two calls of
   * `notify()` deliver two.
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

/** What a channel is whose name is all that was given. */
const PLAIN = readOptions('a channel', {}, OPTIONS);

/**
 * Defines a channel once, for handlers, streams and `notify()` alike. With a schema the payload's types are inferred from
 * it and every payload is checked; without one, the type parameter is a statement of yours about the senders, not a
 * check.
 *
 * ```ts
 * export const OrderEvents = definePgChannel<OrderEvent>('order_events');
 * export const ProductChanges = definePgChannel('product_changes', { schema: z.object({ id: z.number() }) });
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
 * A symbol of this definition alone, the same for the same text. Two definitions of one channel may decode differently,
 * and their names do not tell them apart.
 */
export function symbolOf(definition: PgChannel, text: string): symbol {
  const { symbols } = (definition as unknown as { readonly [DEFINED]: Mark })[DEFINED];
  const symbol = symbols.get(text) ?? Symbol(text);
  symbols.set(text, symbol);
  return symbol;
}

/**
 * What a channel is to somebody who only sends to it: a plain name costs no definition.
 *
 * @throws PgNotifyError of kind `channel`, as {@link toPgChannel} does.
 */
export function toSendingChannel(channel: string | PgChannel): Pick<PgChannel, 'name' | 'codec' | 'schema' | 'fold'> {
  return typeof channel === 'string' ? { name: checkChannelName(channel), ...PLAIN } : toPgChannel(channel);
}

/** The name of a channel that was given by its name or by its definition. */
export function channelName(channel: string | PgChannel): string {
  return toPgChannel(channel).name;
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
    throw new PgNotifyError('channel', 'A channel must be a name, or what definePgChannel() has returned.');
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
