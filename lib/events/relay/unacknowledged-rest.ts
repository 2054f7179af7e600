import { deliveryOf } from '../../event-log/event-deliveries.js';
import type { EventDelivery } from '../../event-log/event-deliveries.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import type { Send } from './relay-message.js';

/**
 * Leaves out what the broker has acknowledged of a batch that failed, when the batch or a part of it comes again. Otherwise a
 * queue with a maximum length, smaller than the batch, would be filled with the same events at each attempt, and never take the
 * last one; nor would a batch end that takes longer than the timeout of its handler.
 *
 * It remembers ids in memory until the batch is handled: after a restart, and after a replay, all are sent again. A call that
 * holds an event twice, such as for two topics, is always sent whole: its ids do not tell the messages apart.
 */
export function sendingTheRest(send: Send): (events: readonly PgEvent[], given?: AbortSignal) => Promise<void> {
  const byDelivery = new WeakMap<EventDelivery, Set<string>>();
  return async (events, given) => {
    const delivery = deliveryOf(events[0]!);
    const signal = given ?? delivery?.signal ?? new AbortController().signal;
    if (new Set(events.map(({ id }) => id)).size < events.length) return send(events, () => undefined, signal);
    const acknowledged = (delivery && byDelivery.get(delivery)) ?? new Set<string>();
    if (delivery) byDelivery.set(delivery, acknowledged);
    const rest = events.filter(({ id }) => !acknowledged.has(id));
    if (rest.length > 0) await send(rest, ({ id }) => acknowledged.add(id), signal);
    signal.throwIfAborted(); // The attempt has failed already: the next one must know what was acknowledged.
    for (const { id } of events) acknowledged.delete(id);
  };
}
