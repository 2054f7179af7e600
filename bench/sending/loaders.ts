import type { Loader } from '../frame/contestants.js';
import type { ConnectSender } from './sender.js';

/** Everybody who sends, by the name in tables. */
export const SENDERS = {
  'pg client': { role: 'floor', load: async () => (await import('./pg.js')).connectClient },
  'pg client, one channel a statement': {
    role: 'floor',
    load: async () => (await import('./pg.js')).connectClientToOneChannel,
  },
  'nest-pg-notify': { role: 'ours', load: async () => (await import('./nest-pg-notify.js')).connect },
  'pg pool of 10': { role: 'peer', load: async () => (await import('./pg.js')).connectPool },
  'pg-listen': { role: 'peer', load: async () => (await import('./peers.js')).connectPgListen },
  'pg-pubsub': { role: 'peer', load: async () => (await import('./peers.js')).connectPgPubsub },
  'postgres.js': { role: 'peer', load: async () => (await import('./peers.js')).connectPostgres },
} satisfies Record<string, Loader<ConnectSender>>;

export type SenderName = keyof typeof SENDERS;
