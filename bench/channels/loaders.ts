import type { ConnectMany } from './many-channels.js';

/** Everybody who listens to many channels, loaded only in the process that measures it. */
export const ADAPTERS = {
  pg: async () => (await import('./pg.js')).connect,
  'decorated, not run': async () => (await import('./nest-pg-notify.js')).connectWithoutHandlers,
  handler: async () => (await import('./nest-pg-notify.js')).connectHandlers,
  Observable: async () => (await import('./nest-pg-notify.js')).connectObservables,
  'pg-listen': async () => (await import('./peers.js')).connectPgListen,
  'pg-pubsub': async () => (await import('./peers.js')).connectPgPubsub,
  'postgres.js': async () => (await import('./peers.js')).connectPostgres,
} satisfies Record<string, () => Promise<ConnectMany>>;

export type ManyName = keyof typeof ADAPTERS;
