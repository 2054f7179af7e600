import type { Loader } from '../frame/contestants.js';
import type { NumberedMessages } from './numbered.js';

/**
 * Connects, begins to measure and notes each message. What the peers need in place of the log is filled in before.
 *
 * @param count How many messages there are to be.
 */
export type StartDrain = (url: string, messages: NumberedMessages, count: number) => Promise<void>;

/** How a backlog is worked off. */
export interface Drain extends Loader<StartDrain> {
  /** Whether messages are promised to come in their order. @default true */
  readonly isOrdered?: boolean;
}

/** Everybody who works off a backlog, by the name in tables. */
export const DRAINS = {
  'pg, pages of 500': { role: 'floor', load: async () => (await import('./drain-pg.js')).drainPages },
  'nest-pg-notify, one by one': {
    role: 'ours',
    load: async () => (await import('./drain-nest-pg-notify.js')).drainOneByOne,
  },
  'nest-pg-notify, async, one by one': {
    role: 'ours',
    load: async () => (await import('./drain-nest-pg-notify.js')).drainAsync,
  },
  'nest-pg-notify, batches of 500': {
    role: 'ours',
    load: async () => (await import('./drain-nest-pg-notify.js')).drainBatches,
  },
  'nest-pg-notify, transactional, one by one': {
    role: 'ours',
    load: async () => (await import('./drain-nest-pg-notify.js')).drainInTransactions,
  },
  'nest-pg-notify, transactional, batches of 500': {
    role: 'ours',
    load: async () => (await import('./drain-nest-pg-notify.js')).drainBatchesInTransactions,
  },
  'pg-boss, fetched by 500': {
    role: 'peer',
    isOrdered: false,
    load: async () => (await import('./drain-peers.js')).drainPgBoss,
  },
  'graphile-worker, 10 at once': {
    role: 'peer',
    isOrdered: false,
    load: async () => (await import('./drain-peers.js')).drainGraphileWorker,
  },
  'graphile-worker, local queue of 500': {
    role: 'peer',
    isOrdered: false,
    load: async () => (await import('./drain-peers.js')).drainGraphileWorkerLocally,
  },
} satisfies Record<string, Drain>;

export type DrainName = keyof typeof DRAINS;
