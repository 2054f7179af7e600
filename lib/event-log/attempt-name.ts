import type { EventConsumerDefinition, EventRetry } from './event-consumer-definition.js';
import type { PgEvent } from './pg-event.js';

/** What names an event in a report. */
export type NamedEvent = Pick<PgEvent, 'id' | 'position' | 'channel'>;

/** A failed attempt. */
export interface FailedRun {
  /** Left out if it is not known which events failed. */
  readonly named?: readonly NamedEvent[];
  /** Left out if the method was not called. */
  readonly attempt?: number | undefined;
}

/** `the event … at position 7 of the channel "orders" (attempt 1 of 20; again in 0.5 s at the earliest)` */
export function attemptName(
  { named: [first, ...others] = [], attempt }: FailedRun,
  { channels, retry, isTransactional }: Pick<EventConsumerDefinition, 'channels' | 'retry' | 'isTransactional'>,
  isFinal: boolean,
): string {
  const allChannels = JSON.stringify(channels.map(({ name }) => name).join(', '));
  if (!first) return `an event of the channel ${allChannels}`;
  const last = others.at(-1);
  const events = last
    ? `the ${others.length + 1} events at positions ${first.position} to ${last.position} of the channel ${allChannels}`
    : `the event ${first.id} at position ${first.position} of the channel ${JSON.stringify(first.channel)}`;
  if (attempt === undefined) return events;
  const count = retry.attempts === Infinity ? `attempt ${attempt}` : `attempt ${attempt} of ${retry.attempts}`;
  // An event that shared its transaction runs again at once, in one of its own.
  const isLater = !isTransactional && !isFinal && attempt < retry.attempts;
  return `${events} (${count}${isLater ? `; again in ${seconds(delaysAfter(attempt, retry).least)} at the earliest` : ''})`;
}

/** The limits of the delay after so many attempts, in milliseconds: what is between them is random. */
export function delaysAfter(
  attempts: number,
  { delay, maxDelay }: EventRetry,
): { readonly least: number; readonly most: number } {
  const most = Math.min(maxDelay, delay * 2 ** Math.min(attempts - 1, 52));
  return { least: most / 2, most };
}

function seconds(milliseconds: number): string {
  const value = milliseconds / 1_000;
  return `${value < 60 ? value.toFixed(1) : Math.round(value)} s`;
}
