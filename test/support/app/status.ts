import type { PgNotifyStatus } from 'nest-pg-notify';
import { filter, firstValueFrom } from 'rxjs';
import type { TestApp } from './test-app.js';

/** Resolves with the first status that holds, the present one included. */
export function untilStatus(
  { service }: Pick<TestApp, 'service'>,
  holds: (status: PgNotifyStatus) => boolean,
): Promise<PgNotifyStatus> {
  return firstValueFrom(service.status$.pipe(filter(holds)));
}

/** Resolves when the application no longer listens. Call it before the fault. */
export function untilLost(subject: Pick<TestApp, 'service'>): Promise<PgNotifyStatus> {
  return untilStatus(subject, ({ state }) => state === 'reconnecting');
}
