import type { Loader } from '../frame/contestants.js';
import type { StartReceiver } from './receiver.js';

/** Everybody who receives, by the name in tables. */
export const RECEIVERS = {
  pg: { role: 'floor', load: async () => (await import('./pg.js')).start },
  'nest-pg-notify, handler': { role: 'ours', load: async () => (await import('./nest-pg-notify.js')).startHandler },
  'nest-pg-notify, async handler': {
    role: 'ours',
    load: async () => (await import('./nest-pg-notify.js')).startAsyncHandler,
  },
  'nest-pg-notify, Observable': {
    role: 'ours',
    load: async () => (await import('./nest-pg-notify.js')).startObservable,
  },
  'pg-listen': { role: 'peer', load: async () => (await import('./pg-listen.js')).start },
  'pg-pubsub': { role: 'peer', load: async () => (await import('./pg-pubsub.js')).start },
  'postgres.js': { role: 'peer', load: async () => (await import('./postgres.js')).start },
  'nestjs-pg-notify': { role: 'peer', load: async () => (await import('./nestjs-pg-notify.js')).start },

  'pg, beside a slow handler': { role: 'floor', load: async () => (await import('./beside-slow-handler.js')).startPg },
  'nest-pg-notify, beside a slow handler': {
    role: 'ours',
    load: async () => (await import('./beside-slow-handler.js')).startHandlers,
  },

  'pg, through ExternalContextCreator': { role: 'floor', load: async () => (await import('./enhanced.js')).startPg },
  'nest-pg-notify, enhanced handler': { role: 'ours', load: async () => (await import('./enhanced.js')).startHandler },

  'pg, an array that grows': { role: 'floor', load: async () => (await import('./stalled.js')).startPg },
  'nest-pg-notify, stalled handler': { role: 'ours', load: async () => (await import('./stalled.js')).startHandler },
} satisfies Record<string, Loader<StartReceiver>>;

export type ReceiverName = keyof typeof RECEIVERS;

/** Those that hand every message to an application's code, the floor first. */
export const ALL_RECEIVERS = [
  'pg',
  'nest-pg-notify, handler',
  'nest-pg-notify, async handler',
  'nest-pg-notify, Observable',
  'pg-listen',
  'pg-pubsub',
  'postgres.js',
  'nestjs-pg-notify',
] as const satisfies readonly ReceiverName[];
