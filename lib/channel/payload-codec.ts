import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { isThenable } from './thenable.js';

/** PostgreSQL refuses a payload of 8,000 bytes or more (`NOTIFY_PAYLOAD_MAX_LENGTH`), in the sender's transaction. */
export const MAX_PAYLOAD_BYTES = 7_999;

/**
 * How payloads are written as text, and read from it.
 *
 * - `auto`: sends JSON; receives JSON if the text is JSON, otherwise the text itself. A bare number that JavaScript
 *   would print differently (a `bigint` id, `1.0`) stays text, so that no digit is lost.
 * - `json`: sends JSON; a text that is not JSON is an error, and never reaches a handler.
 * - `text`: sends and receives the text unchanged.
 *
 * With `auto` and `json`, `undefined` is sent as the empty text, and the empty text is received as `undefined`.
 */
export type PgPayloadCodec = 'auto' | 'json' | 'text';

/** The longest text that a payload may have. */
export interface PayloadLimit {
  readonly bytes: number;
  /** The end of the message about a longer text: who sets the limit, and the remedy. */
  readonly advice: string;
}

const NOTIFICATION_LIMIT: PayloadLimit = {
  bytes: MAX_PAYLOAD_BYTES,
  advice: `PostgreSQL allows ${MAX_PAYLOAD_BYTES}. Send the id and read the row in the handler.`,
};

/**
 * The text to send.
 *
 * @throws PgNotifyError of kind `payload` if the payload cannot be written as text, or the text is too long.
 */
export function encodePayload(
  channel: string,
  codec: PgPayloadCodec,
  payload: unknown,
  { bytes, advice }: PayloadLimit = NOTIFICATION_LIMIT,
): string {
  const raw = codec === 'text' ? textOf(channel, payload) : jsonOf(channel, payload);
  const size = Buffer.byteLength(raw);
  if (size > bytes) {
    throw new PgNotifyError(
      'payload',
      `The payload for channel ${JSON.stringify(channel)} is ${size} bytes long; ${advice}`,
      { channel, size, limit: bytes },
    );
  }
  return raw;
}

/**
 * The payload of a received text.
 *
 * @throws PgNotifyError of kind `payload` if the codec is `json` and the text is not JSON.
 */
export function decodePayload(channel: string, codec: PgPayloadCodec, raw: string): unknown {
  if (codec === 'text') return raw;
  if (raw === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch {
    if (codec === 'auto') return raw;
    throw new PgNotifyError(
      'payload',
      `A notification of ${Buffer.byteLength(raw)} bytes on channel ${JSON.stringify(channel)} is not JSON. Find the sender, or define the channel with the codec "auto" or "text".`,
      { channel, size: Buffer.byteLength(raw) },
    );
  }
  return codec === 'auto' && typeof value === 'number' && String(value) !== raw ? raw : value;
}

function textOf(channel: string, payload: unknown): string {
  const where = `The payload for channel ${JSON.stringify(channel)}`;
  if (payload === undefined) return '';
  if (typeof payload !== 'string') {
    throw new PgNotifyError('payload', `${where} must be a string, because the channel has the codec "text".`, {
      channel,
    });
  }
  if (payload.includes('\0')) {
    throw new PgNotifyError('payload', `${where} contains a NUL character, which PostgreSQL cannot store.`, {
      channel,
    });
  }
  if (!payload.isWellFormed()) {
    throw new PgNotifyError('payload', `${where} contains half of a surrogate pair, which UTF-8 cannot carry.`, {
      channel,
    });
  }
  return payload;
}

function jsonOf(channel: string, payload: unknown): string {
  if (payload === undefined) return '';
  let json: string | undefined;
  try {
    if (isThenable(payload)) throw new Error('It is a promise. Await it.');
    json = JSON.stringify(payload) as string | undefined;
  } catch (error) {
    throw new PgNotifyError(
      'payload',
      `The payload for channel ${JSON.stringify(channel)} cannot be written as JSON: ${messageOf(error)}`,
      { channel, cause: error },
    );
  }
  if (json === undefined) {
    throw new PgNotifyError(
      'payload',
      `The payload for channel ${JSON.stringify(channel)} is a ${typeof payload}, which JSON has no form for.`,
      { channel },
    );
  }
  return json;
}
