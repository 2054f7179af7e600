import type { Role } from '../frame/scenario.js';
import type { PublisherName } from './publishers.js';

/** A message whose number and time of publishing are known. */
export interface Timed {
  readonly n: number;
  /** On the machine's monotonic clock, in nanoseconds. */
  readonly at: number;
}

/** Connects, and calls back for each message. */
export type StartConsumer = (url: string, onMessage: (message: Timed) => void) => Promise<void>;

interface ConsumerOf {
  readonly role: Role;
  readonly load: () => Promise<StartConsumer>;
  /** Who publishes for it. */
  readonly publisher: PublisherName;
}

/** Everybody who handles what is published a moment ago, by the name in tables. */
export const CONSUMERS: Readonly<Record<string, ConsumerOf>> = {
  'pg, LISTEN (nothing is kept)': {
    role: 'floor',
    publisher: 'notify',
    load: async () => (await import('./consumer-pg.js')).listen,
  },
  'nest-pg-notify, woken': {
    role: 'ours',
    publisher: 'publish',
    load: async () => (await import('./consumer-nest-pg-notify.js')).consume,
  },
  'nest-pg-notify, transactional, woken': {
    role: 'ours',
    publisher: 'publish',
    load: async () => (await import('./consumer-nest-pg-notify.js')).consumeInTransactions,
  },
  'nest-pg-notify, polling only': {
    role: 'ours',
    publisher: 'insert',
    load: async () => (await import('./consumer-nest-pg-notify.js')).consumeUntrusting,
  },
  'graphile-worker': {
    role: 'peer',
    publisher: 'add_job',
    load: async () => (await import('./consumers-peers.js')).workGraphile,
  },
  'pg-boss, polling every 0.5 s': {
    role: 'peer',
    publisher: 'send',
    load: async () => (await import('./consumers-peers.js')).workPgBoss,
  },
};
