import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { QUICK } from './app/app-suite.js';
import { watched } from './app/watched-app.js';
import type { WatchedApp } from './app/watched-app.js';
import { createApp } from './app.js';

export { QUICK } from './app/app-suite.js';
export { askListeningSession, recordStatements } from './app/listening-session.js';
export { expectNoSecret } from './app/no-secret.js';
export { untilLost, untilStatus } from './app/status.js';
export { expectDelivery } from './app/watched-app.js';
export type { WatchedApp as FaultApp } from './app/watched-app.js';
export { leavingNothingOpen } from './open-resources.js';

/** Use `watched(await appSuite({ options: QUICK }).create())`. */
export async function createFaultApp(options: PgNotifyModuleOptions): Promise<WatchedApp> {
  return watched(await createApp({ ...QUICK, ...options }));
}
