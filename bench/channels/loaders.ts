import type { Loader } from '../frame/contestants.js';
import type { ConnectMany } from './many-channels.js';

/** Everybody who listens to many channels, by the name in tables. */
export const LISTENERS = {
  pg: { role: 'floor', load: async () => (await import('./pg.js')).connect },
  'nest-pg-notify, handler': { role: 'ours', load: async () => (await import('./nest-pg-notify.js')).connectHandlers },
  'nest-pg-notify, Observable': {
    role: 'ours',
    load: async () => (await import('./nest-pg-notify.js')).connectObservables,
  },
  'nest-pg-notify, checks every second': {
    role: 'ours',
    load: async () => (await import('./nest-pg-notify.js')).connectWithFrequentChecks,
  },
  'nest-pg-notify, handlers not run': {
    role: 'ours',
    load: async () => (await import('./nest-pg-notify.js')).connectWithoutHandlers,
  },
  'pg-listen': { role: 'peer', load: async () => (await import('./peers.js')).connectPgListen },
  'pg-pubsub': { role: 'peer', load: async () => (await import('./peers.js')).connectPgPubsub },
  'postgres.js': { role: 'peer', load: async () => (await import('./peers.js')).connectPostgres },
} satisfies Record<string, Loader<ConnectMany>>;

export type ListenerName = keyof typeof LISTENERS;
