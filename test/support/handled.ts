import type { PgNotifyService, PgNotifyStats } from 'nest-pg-notify';
import { eventually } from './recorder.js';

/** Waits until so many runs of handlers of any kind have ended; returns how many have succeeded, failed and been rejected. */
export async function handled(service: PgNotifyService, runs: number): Promise<ReturnType<typeof runsOf>> {
  return eventually(
    () => runsOf(service.stats()),
    ({ delivered, failed, rejected = 0 }) => delivered + failed + rejected >= runs,
  );
}

/** Waits until so many notifications have been received. */
export async function received(service: PgNotifyService, count: number): Promise<void> {
  await eventually(
    () => service.stats().received,
    (sum) => sum >= count,
  );
}

/** How many runs of handlers of any kind have succeeded, failed and been rejected. */
export function runsOf({ handlers }: PgNotifyStats): { delivered: number; failed: number; rejected?: number } {
  const sum = (count: 'delivered' | 'failed' | 'rejected'): number =>
    handlers.reduce((total, handler) => total + handler[count], 0);
  const rejected = sum('rejected');
  return { delivered: sum('delivered'), failed: sum('failed'), ...(rejected > 0 && { rejected }) };
}
