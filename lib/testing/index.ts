export { PgNotifyTestBus } from './pg-notify-test-bus.js';
export type { SimulatedGapReason } from './pg-notify-test-bus.js';
export { PgNotifyTestingModule } from './pg-notify-testing.module.js';
export type { PgNotifyTestingOptions } from './pg-notify-testing.module.js';
export type { SentPgNotification } from './test-transport.js';
export { PgEventsTestLog } from './pg-events-test-log.js';
export type { PgEventsTestLogOptions, PublishedPgEvent } from './pg-events-test-log.js';
