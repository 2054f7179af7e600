import type { PgNotifyService } from 'nest-pg-notify';
import { eventually } from './recorder.js';

/** Waits until so many runs of handlers have ended; tells how many of them failed. */
export async function handled(service: PgNotifyService, runs: number): Promise<{ delivered: number; failed: number }> {
  const { delivered, failed } = await eventually(
    () => service.stats(),
    (stats) => stats.delivered + stats.failed >= runs,
  );
  return { delivered, failed };
}
