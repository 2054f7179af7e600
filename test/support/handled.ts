import type { PgNotifyService, PgNotifyStats } from 'nest-pg-notify';
import { eventually } from './recorder.js';

/** Waits until so many runs of handlers of any kind have ended; returns how many have succeeded and failed. */
export async function handled(service: PgNotifyService, runs: number): Promise<{ delivered: number; failed: number }> {
  return eventually(
    () => runsOf(service.stats()),
    ({ delivered, failed }) => delivered + failed >= runs,
  );
}

/** Waits until so many notifications have been received. */
export async function received(service: PgNotifyService, count: number): Promise<void> {
  await eventually(
    () => service.stats().received,
    (sum) => sum >= count,
  );
}

/** How many runs of handlers of any kind have succeeded, and how many have failed. */
export function runsOf({ handlers }: PgNotifyStats): { delivered: number; failed: number } {
  const sum = (count: 'delivered' | 'failed'): number => handlers.reduce((total, handler) => total + handler[count], 0);
  return { delivered: sum('delivered'), failed: sum('failed') };
}
