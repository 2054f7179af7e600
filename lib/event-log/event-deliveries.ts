import type { PgEvent } from './pg-event.js';

/**
 * What all attempts to deliver a batch have in common, also those that deliver it in parts. Another owner of the shard and a
 * replay deliver anew.
 */
export class EventDelivery {
  /** Of the latest attempt: aborted at its timeout, when the lease is lost, and when a shutdown stops waiting. */
  signal: AbortSignal | undefined;
}

const deliveries = new WeakMap<PgEvent, EventDelivery>();

/** Notes to which delivery the events belong. */
export function noteDelivery(events: readonly PgEvent[], delivery: EventDelivery): void {
  for (const event of events) deliveries.set(event, delivery);
}

/** Notes the signal of the attempt that begins. */
export function noteAttempt(events: readonly PgEvent[], signal: AbortSignal): void {
  const delivery = deliveryOf(events[0]!);
  if (delivery) delivery.signal = signal;
}

/** The delivery of an event; undefined for an event that was not in a batch. */
export function deliveryOf(event: PgEvent): EventDelivery | undefined {
  return deliveries.get(event);
}
