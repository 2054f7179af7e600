import { PgNotifyError } from '../pg-notify.errors.js';

/** PostgreSQL's NAMEDATALEN - 1: LISTEN cuts a longer name without an error, `pg_notify` refuses it. */
export const MAX_CHANNEL_BYTES = 63;

/**
 * Returns the name if PostgreSQL can carry it as it is: a string of 1 to 63 bytes of UTF-8, without NUL.
 *
 * @throws PgNotifyError of kind `channel` that describes the problem with the name.
 */
export function checkChannelName(name: string): string {
  if (typeof name !== 'string') {
    throw new PgNotifyError('channel', `A channel name must be a string, not ${describeType(name)}.`);
  }
  if (name === '') {
    throw new PgNotifyError('channel', 'A channel name must not be empty.', { channel: name });
  }
  if (name.includes('\0') || !name.isWellFormed()) {
    const culprit = name.includes('\0') ? 'a NUL character' : 'half of a surrogate pair';
    throw new PgNotifyError(
      'channel',
      `Channel ${JSON.stringify(name)} contains ${culprit}, which PostgreSQL cannot store.`,
      { channel: name },
    );
  }
  const size = Buffer.byteLength(name);
  if (size > MAX_CHANNEL_BYTES) {
    throw new PgNotifyError(
      'channel',
      `Channel ${JSON.stringify(name)} is ${size} bytes long; PostgreSQL allows ${MAX_CHANNEL_BYTES}. Use a shorter name, and put what varies into the payload.`,
      { channel: name, size, limit: MAX_CHANNEL_BYTES },
    );
  }
  return name;
}

/** The name as an SQL identifier: always quoted, so that its case, spaces and dots are kept. */
export function quoteChannel(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function describeType(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
