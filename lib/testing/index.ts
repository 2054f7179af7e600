export { PgNotifyTestBus } from './pg-notify-test-bus.js';
export type { SimulatedGapReason } from './pg-notify-test-bus.js';
export { PgNotifyTestingModule } from './pg-notify-testing.module.js';
export type { PgNotifyTestingOptions } from './pg-notify-testing.module.js';
export type { SentPgNotification } from './test-transport.js';
