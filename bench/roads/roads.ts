import type { StartConsumer } from '../events/consumers.js';
import type { PublisherName } from '../events/publishers.js';

interface Road {
  /** How a writer puts a message on it, inside its transaction. */
  readonly publisher: PublisherName;
  /** Whether it promises that nothing is lost when the reader is killed. */
  readonly isDurable: boolean;
  readonly load: () => Promise<StartConsumer>;
}

/** The ways from a transaction to another process, by the name in tables. */
export const ROADS = {
  'LISTEN/NOTIFY, @OnPgNotify': {
    publisher: 'notify',
    isDurable: false,
    load: async () => (await import('./read-notifications.js')).readNotifications,
  },
  'event log, @OnPgEvent': {
    publisher: 'publish',
    isDurable: true,
    load: async () => (await import('../events/consumer-nest-pg-notify.js')).consume,
  },
  'CDC of the event log, pgoutput': {
    publisher: 'publish',
    isDurable: true,
    load: async () => (await import('./read-changes.js')).readChanges,
  },
} as const satisfies Record<string, Road>;

export type RoadName = keyof typeof ROADS;

/** The slot of the reader of changes, which is there before anything is published. */
export const SLOT = 'road';
