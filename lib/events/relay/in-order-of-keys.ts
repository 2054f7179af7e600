import type { PgEvent } from '../../event-log/pg-event.js';

/**
 * Sends events: those of one key one after the other, as the order of a key must survive the failure of one of them, and
 * those of different keys side by side. After a failure nothing more is sent.
 *
 * @param limit How many may be under way at once.
 * @throws The first failure, when all that was under way has ended.
 */
export async function sendInOrderOfKeys(
  events: readonly PgEvent[],
  send: (event: PgEvent) => Promise<unknown>,
  limit = Infinity,
): Promise<void> {
  const lanes = lanesOf(events);
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let lane = lanes.next(); !lane.done; lane = lanes.next()) {
      for (const event of lane.value) {
        if (failures.length > 0) return;
        await send(event).catch((error: unknown) => failures.push(error));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, events.length) }, work));
  if (failures.length > 0) throw failures[0];
}

/** The events of each key. One without a key is alone. */
function lanesOf(events: readonly PgEvent[]): IterableIterator<readonly PgEvent[]> {
  const lanes = new Map<string | PgEvent, PgEvent[]>();
  for (const event of events) {
    const lane = lanes.get(event.key ?? event);
    if (lane) lane.push(event);
    else lanes.set(event.key ?? event, [event]);
  }
  return lanes.values();
}
