export { definePgChannel } from './channel/pg-channel.js';
export type { PgChannel, PgChannelOptions } from './channel/pg-channel.js';
export type { PgGap, PgGapReason } from './channel/pg-gap.js';
export type { PgNotification, RawPgNotification } from './channel/pg-notification.js';
export type { PgPayloadCodec } from './channel/payload-codec.js';
export { OnPgNotify } from './handlers/on-pg-notify.decorator.js';
export type { OnPgNotifyOptions, PgNotifyHandlerDecorator } from './handlers/on-pg-notify.decorator.js';
export { PgNotifyHealthIndicator } from './health/pg-notify-health.indicator.js';
export type { PgNotifyHealth, PgNotifyHealthOptions } from './health/pg-notify-health.indicator.js';
export type { PgQueueUsage } from './listener/queue-usage.js';
export type { PgNotifyFailure, PgNotifyState, PgNotifyStatus } from './listener/pg-notify-status.js';
export type { PgDeliveryCause, PgDeliveryVerdict } from './listener/delivery-verdict.js';
export { PgNotifyError } from './pg-notify.errors.js';
export type { PgNotifyErrorDetails, PgNotifyErrorKind } from './pg-notify.errors.js';
export { PgNotifyModule } from './pg-notify.module.js';
export type { PgNotifyModuleExtras, PgNotifyOptionsFactory } from './pg-notify.module-definition.js';
export type {
  PgNotifyConnection,
  PgNotifyDeliveryCheckOptions,
  PgNotifyHeartbeatOptions,
  PgNotifyModuleOptions,
  PgNotifyPublisherOptions,
  PgNotifyReconnectOptions,
  PgNotifyStartupMode,
  PgNotifyStartupOptions,
} from './pg-notify.options.js';
export { PgNotifyService } from './pg-notify.service.js';
export {
  getPgChannelToken,
  getPgNotifyHealthToken,
  getPgNotifyToken,
  InjectPgChannel,
  InjectPgNotify,
} from './pg-notify.tokens.js';
