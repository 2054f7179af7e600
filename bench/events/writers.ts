import type { ClientBase } from 'pg';
import type { Loader } from '../frame/contestants.js';

/** What a writer does in a transaction beside its own row. The number is another one for each transaction. */
export type Write = (client: ClientBase, number: number) => Promise<unknown>;

/** Makes the tables that are needed, and what writes. */
export type ConnectWriter = (url: string) => Promise<Write>;

/** Everybody who writes in a transaction what is to be delivered, by the name in tables. */
export const WRITERS = {
  'bare transaction': { role: 'floor', load: async () => (await import('./writers-pg.js')).writeNothing },
  'nest-pg-notify, publish()': {
    role: 'ours',
    load: async () => (await import('./writer-nest-pg-notify.js')).connectPublisher,
  },
  'plain insert into a log table': {
    role: 'peer',
    load: async () => (await import('./writers-pg.js')).connectLogTable,
  },
  'queue in the shape of @nestjs/outbox': {
    role: 'peer',
    load: async () => (await import('./writers-pg.js')).connectOutboxTable,
  },
  'pg-boss, send()': { role: 'peer', load: async () => (await import('./writers-peers.js')).connectPgBoss },
  'graphile-worker, add_job()': {
    role: 'peer',
    load: async () => (await import('./writers-peers.js')).connectGraphileWorker,
  },
} satisfies Record<string, Loader<ConnectWriter>>;

export type WriterName = keyof typeof WRITERS;

/** What is written: an object of about 220 bytes. */
export const ORDER = { id: 12_345, status: 'created', customer: 'c-1234', items: [1, 2, 3], note: 'x'.repeat(120) };

/** The writers share a thousand keys. */
export function keyOf(number: number): string {
  return `k${number % 1_000}`;
}
