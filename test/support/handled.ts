import type { PgNotifyService, PgNotifyStats } from 'nest-pg-notify';
import { eventually } from './recorder.js';

/** Waits until so many runs of handlers of any kind have ended; tells how many of them failed. */
export async function handled(service: PgNotifyService, runs: number): Promise<{ delivered: number; failed: number }> {
  return eventually(
    () => runsOf(service.stats()),
    ({ delivered, failed }) => delivered + failed >= runs,
  );
}

/** How many runs of handlers of any kind have succeeded, and how many have failed. */
export function runsOf({ handlers }: PgNotifyStats): { delivered: number; failed: number } {
  const sum = (count: 'delivered' | 'failed'): number => handlers.reduce((total, handler) => total + handler[count], 0);
  return { delivered: sum('delivered'), failed: sum('failed') };
}
