import { messageOf } from '../../pg-notify.errors.js';
import { PgEventRejection } from '../../event-log/pg-event.js';
import type { PgEvent } from '../../event-log/pg-event.js';

/** How an event becomes a message; the options of `relayTo()`, with their defaults. */
export interface MessageOptions {
  readonly pattern: (event: PgEvent) => string;
  readonly data: (event: PgEvent) => unknown;
}

/**
 * Sends events to a broker. Resolves when it has acknowledged all, and reports each of them before, if it knows them. After the
 * signal is aborted it sends nothing more, and rejects when nothing is under way: what would still arrive must not come behind
 * what the next attempt sends.
 */
export type Send = (
  events: readonly PgEvent[],
  onAcknowledged: (event: PgEvent) => void,
  signal: AbortSignal,
) => Promise<void>;

/**
 * What a message says of its event beside the data. The event's own headers come first: they cannot hide these. SQL may have
 * published some that are no texts, which clients of brokers refuse.
 */
export function headersOf({ id, channel, key, position, publishedAt, headers }: PgEvent): Record<string, string> {
  const own = Object.entries(headers)
    .filter(([name]) => name !== 'key') // An event without a key must not seem to have one.
    .map(([name, value]: [string, unknown]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);
  const facts = { id, channel, position, 'published-at': publishedAt.toISOString() };
  return { ...Object.fromEntries(own), ...facts, ...(key !== undefined && { key }) };
}

/**
 * What is made of an event. If that fails it does so at every attempt.
 *
 * @throws PgEventRejection
 */
export function madeOf<Made>(event: PgEvent, make: (event: PgEvent) => Made): Made {
  try {
    return make(event);
  } catch (error) {
    const message = `relayTo() cannot make a message of event ${event.id}: ${messageOf(error)}`;
    throw new PgEventRejection(message, { cause: error });
  }
}
