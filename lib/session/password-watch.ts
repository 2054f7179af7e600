import type { ClientSettings } from './client-config.js';

/** The settings of one attempt to connect, and whether it waits for the user's password function. */
export interface WatchedPassword {
  readonly settings: ClientSettings;
  readonly isAwaited: () => boolean;
}

/**
 * Watches the password function of one attempt, because a function that never returns looks like a server that never
 * answers.
 */
export function watchPassword(settings: ClientSettings): WatchedPassword {
  const { password } = settings;
  if (typeof password !== 'function') return { settings, isAwaited: () => false };
  let isAwaited = false;
  const watched = async (...parameters: Parameters<typeof password>): Promise<string> => {
    isAwaited = true;
    try {
      return await password(...parameters);
    } finally {
      isAwaited = false;
    }
  };
  return { settings: { ...settings, password: watched }, isAwaited: () => isAwaited };
}
