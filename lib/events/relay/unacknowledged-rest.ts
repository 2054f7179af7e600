import { deliveryOf } from '../../event-log/event-deliveries.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import type { Send } from './relay-message.js';

/**
 * Leaves out what the broker has acknowledged of a batch that failed, when the batch comes again. Otherwise a queue with a
 * maximum length, smaller than the batch, would be filled with the same events at each attempt, and never take the last one.
 *
 * It remembers the ids of one failed call for each delivery, in memory: after a restart, and after a replay, all are sent again.
 * A call that holds an event twice, such as for two topics, is always sent whole: its ids do not tell the messages apart.
 */
export function sendingTheRest(send: Send): (events: readonly PgEvent[]) => Promise<void> {
  const byDelivery = new WeakMap<object, ReadonlySet<string>>();
  return async (events) => {
    if (new Set(events.map(({ id }) => id)).size < events.length) return send(events, () => undefined);
    const delivery = deliveryOf(events[0]!);
    const earlier = delivery && byDelivery.get(delivery);
    const rest = earlier ? events.filter(({ id }) => !earlier.has(id)) : events;
    const acknowledged = new Set<string>();
    try {
      if (rest.length > 0) await send(rest, ({ id }) => acknowledged.add(id));
      if (delivery) byDelivery.delete(delivery);
    } catch (error) {
      if (delivery) {
        const before = events.filter(({ id }) => earlier?.has(id));
        byDelivery.set(delivery, new Set([...before.map(({ id }) => id), ...acknowledged]));
      }
      throw error;
    }
  };
}
