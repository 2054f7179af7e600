import { randomUUID } from 'node:crypto';
import type { PgEvent } from 'nest-pg-notify/events';

let positions = 0;

/** An event as a method gets it: with a key, a payload and all else that one has. */
export function publishedEvent(given: Partial<PgEvent> = {}): PgEvent {
  positions += 1;
  return {
    id: randomUUID(),
    position: String(positions),
    channel: 'orders',
    key: undefined,
    payload: { n: positions },
    headers: {},
    publishedAt: new Date('2026-01-31T12:00:00.500Z'),
    ...given,
  };
}
