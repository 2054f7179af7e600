import type { StartReceiver } from './receiver.js';

/** Everybody who receives, loaded only in the process that measures it. */
export const LOADERS = {
  pg: async () => (await import('./pg.js')).start,
  handler: async () => (await import('./nest-pg-notify.js')).startHandler,
  'async handler': async () => (await import('./nest-pg-notify.js')).startAsyncHandler,
  Observable: async () => (await import('./nest-pg-notify.js')).startObservable,
  'pg-listen': async () => (await import('./pg-listen.js')).start,
  'pg-pubsub': async () => (await import('./pg-pubsub.js')).start,
  'postgres.js': async () => (await import('./postgres.js')).start,
  'nestjs-pg-notify': async () => (await import('./nestjs-pg-notify.js')).start,
} satisfies Record<string, () => Promise<StartReceiver>>;

export type ReceiverName = keyof typeof LOADERS;
