import type { PgEvent } from './pg-event.js';

const deliveries = new WeakMap<PgEvent, object>();

/**
 * Notes to which delivery the events belong. All attempts of one delivery have the same object. Another owner of the shard and
 * a replay deliver anew.
 */
export function noteDelivery(events: readonly PgEvent[], delivery: object): void {
  for (const event of events) deliveries.set(event, delivery);
}

/** The object that the attempts of an event's delivery have in common; undefined for an event that was not in a batch. */
export function deliveryOf(event: PgEvent): object | undefined {
  return deliveries.get(event);
}
