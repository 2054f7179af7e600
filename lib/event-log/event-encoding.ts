import { randomUUID } from 'node:crypto';
import { encodePayload } from '../channel/payload-codec.js';
import { applySchema } from '../channel/payload-schema.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { PgNotifyError } from '../pg-notify.errors.js';

/** The properties of an event besides its payload. */
export interface PgEventOptions {
  /**
   * Identifies the subject of the event, such as an order's id: 1 to 1,000 bytes. Events of one key are delivered in order if
   * their transactions run one after the other: lock the key's row before you publish.
   *
   * @default no key, and no order
   */
  readonly key?: string | undefined;
  /** Strings that are delivered with the payload, such as a trace id: up to 10,000 bytes as JSON. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** An event as a sink takes it. */
export interface EncodedEvent {
  readonly id: string;
  readonly key: string | null;
  /** JSON. */
  readonly payload: string;
  /** A JSON object of strings. */
  readonly headers: string | null;
}

export type PublishingChannel = Pick<PgChannel, 'name' | 'codec' | 'schema'>;

const PAYLOAD_LIMIT = {
  bytes: 1_000_000,
  advice: 'an event may have 1000000. Store what is large elsewhere, and publish where it is.',
};
const MAX_KEY_BYTES = 1_000;
const MAX_HEADERS_BYTES = 10_000;

/** A lone surrogate or NUL, as JSON.stringify() escapes them: the backslash must not itself be escaped. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][\da-f]{2})/;

/**
 * Checks an event, encodes it and gives it an id.
 *
 * @throws PgNotifyError of kind `payload` if the log cannot store it or the channel's schema refuses it; of kind
 * `configuration` if the schema is asynchronous.
 */
export function encodeEvent(channel: PublishingChannel, payload: unknown, options: PgEventOptions): EncodedEvent {
  const text = payloadOf(channel, payload);
  applySchema(channel, payload);
  return {
    id: randomUUID(),
    key: options.key === undefined ? null : keyOf(channel, options.key),
    payload: text,
    headers: options.headers === undefined ? null : headersOf(channel, options.headers),
  };
}

function payloadOf({ name, codec }: PublishingChannel, payload: unknown): string {
  const raw = encodePayload(name, codec, payload, PAYLOAD_LIMIT);
  if (codec === 'text') return JSON.stringify(raw);
  if (payload === undefined) return 'null';
  refuseUnstorable(name, 'The payload', raw);
  return raw;
}

function keyOf({ name: channel }: PublishingChannel, key: unknown): string {
  if (typeof key !== 'string' || key === '') {
    const found = key === '' ? 'an empty one' : key === null ? 'null' : `a ${typeof key}`;
    const remedy = typeof key === 'number' || typeof key === 'bigint' ? 'Write String(id)' : 'Leave it out for none';
    throw new PgNotifyError(
      'payload',
      `The key of an event for channel ${JSON.stringify(channel)} must be a non-empty string, not ${found}. ${remedy}.`,
      { channel },
    );
  }
  refuseUnstorable(channel, 'The key', JSON.stringify(key));
  refuseLonger(channel, 'The key', key, MAX_KEY_BYTES);
  return key;
}

function headersOf({ name: channel }: PublishingChannel, headers: unknown): string {
  const isObject = typeof headers === 'object' && headers !== null && !Array.isArray(headers);
  const isPairs = isObject && Symbol.iterator in headers;
  const entries = isObject ? Object.entries(headers) : [];
  const [wrong] = entries.find(([, value]) => typeof value !== 'string') ?? [];
  if (!isObject || isPairs || wrong !== undefined) {
    const found = isPairs
      ? 'a Map or the like: write Object.fromEntries(headers)'
      : wrong === undefined
        ? 'something else'
        : `an object whose ${JSON.stringify(wrong)} is not a string`;
    throw new PgNotifyError(
      'payload',
      `The headers of an event for channel ${JSON.stringify(channel)} must be an object of strings, not ${found}.`,
      { channel },
    );
  }
  const text = JSON.stringify(Object.fromEntries(entries)); // A copy, so that a toJSON() of the headers is not called.
  refuseUnstorable(channel, 'A header', text);
  refuseLonger(channel, 'The headers', text, MAX_HEADERS_BYTES);
  return text;
}

/** @param json The JSON of the value, or of an object that contains it. */
function refuseUnstorable(channel: string, what: string, json: string): void {
  if (!json.includes('\\u')) return;
  const [found] = UNSTORABLE.exec(json) ?? [];
  if (found === undefined) return;
  const culprit = found.endsWith('u0000')
    ? 'contains a NUL character, which PostgreSQL cannot store'
    : 'contains half of a surrogate pair, which UTF-8 cannot carry';
  throw new PgNotifyError('payload', `${what} of an event for channel ${JSON.stringify(channel)} ${culprit}.`, {
    channel,
  });
}

function refuseLonger(channel: string, what: string, text: string, limit: number): void {
  const size = Buffer.byteLength(text);
  if (size <= limit) return;
  const are = what.endsWith('s') ? 'are' : 'is';
  throw new PgNotifyError(
    'payload',
    `${what} of an event for channel ${JSON.stringify(channel)} ${are} ${size} bytes long; the log takes ${limit}.`,
    { channel, size, limit },
  );
}
