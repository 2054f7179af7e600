import type { Loader } from '../frame/contestants.js';

/** Connects so many consumers, for which nothing happens. */
export type StartIdle = (url: string, consumers: number) => Promise<void>;

/** Everybody whose consumers wait, by the name in tables. */
export const IDLERS = {
  'nest-pg-notify, woken': { role: 'ours', load: async () => (await import('./idle-nest-pg-notify.js')).startWoken },
  'nest-pg-notify, polling only': {
    role: 'ours',
    load: async () => (await import('./idle-nest-pg-notify.js')).startPolling,
  },
  'pg-boss, polling every 2 s': { role: 'peer', load: async () => (await import('./idle-peers.js')).startPgBoss },
  'graphile-worker, polling every 2 s': {
    role: 'peer',
    load: async () => (await import('./idle-peers.js')).startGraphileWorker,
  },
} satisfies Record<string, Loader<StartIdle>>;

export type IdlerName = keyof typeof IDLERS;
