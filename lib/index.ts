export { definePgChannel } from './channel/pg-channel.js';
export type { PgChannel, PgChannelOptions } from './channel/pg-channel.js';
export type { PgGap, PgGapReason } from './channel/pg-gap.js';
export type { PgNotification, RawPgNotification } from './channel/pg-notification.js';
export type { PgPayloadCodec } from './channel/payload-codec.js';
export type { PgHandlerStats } from './consumers/handler.js';
export type { PgLiveQueryOptions, PgLiveValue } from './consumers/live-query-options.js';
export { OnPgGap } from './handlers/on-pg-gap.decorator.js';
export type { PgGapHandlerDecorator } from './handlers/on-pg-gap.decorator.js';
export { OnPgNotify } from './handlers/on-pg-notify.decorator.js';
export type { PgBatchHandlerDecorator, PgNotifyHandlerDecorator } from './handlers/on-pg-notify.decorator.js';
export { OnPgWakeUp } from './handlers/on-pg-wake-up.decorator.js';
export type {
  PgWakeReason,
  PgWakeUp,
  PgWakeUpHandlerDecorator,
  PgWakeUpResult,
} from './handlers/on-pg-wake-up.decorator.js';
export type {
  OnPgGapOptions,
  OnPgNotifyOptions,
  OnPgWakeUpOptions,
  PgBatchOptions,
  PgHandlerOptions,
} from './handlers/handler-options.js';
export { getPgNotifyContext, isPgNotifyContext } from './handlers/pg-notify.context.js';
export type { PgNotifyContext } from './handlers/pg-notify.context.js';
export { PgNotifyHealthIndicator } from './health/pg-notify-health.indicator.js';
export type { PgNotifyHealth, PgNotifyHealthOptions } from './health/pg-notify-health.indicator.js';
export type { PgQueueUsage } from './listener/queue-usage.js';
export type { PgHandlerBlock, PgNotifyFailure, PgNotifyState, PgNotifyStatus } from './listener/pg-notify-status.js';
export type { PgDeliveryCause, PgDeliveryVerdict } from './listener/delivery-verdict.js';
export type { PgHandlerKind, PgNotifyDiagnosticsEvents } from './pg-notify.diagnostics.js';
export { PgNotifyError } from './pg-notify.errors.js';
export type { PgNotifyErrorDetails, PgNotifyErrorKind } from './pg-notify.errors.js';
export { PgNotifyModule } from './pg-notify.module.js';
export type { PgNotifyModuleExtras, PgNotifyOptionsFactory } from './pg-notify.module-definition.js';
export type {
  PgNotifyConnection,
  PgNotifyDeliveryCheckOptions,
  PgNotifyHandlersOptions,
  PgNotifyHeartbeatOptions,
  PgNotifyModuleOptions,
  PgNotifyPublisherOptions,
  PgNotifyReconnectOptions,
  PgNotifyStartupMode,
  PgNotifyStartupOptions,
} from './pg-notify.options.js';
export { PgNotifyService } from './pg-notify.service.js';
export type { PgPublishOptions } from './pg-notify.service.js';
export type { PgNotifyStats } from './pg-notify.stats.js';
export { fromDrizzle } from './executor/from-drizzle.js';
export type { DrizzleSql, DrizzleTransaction } from './executor/from-drizzle.js';
export { fromKnex } from './executor/from-knex.js';
export type { KnexTransaction } from './executor/from-knex.js';
export { fromKysely } from './executor/from-kysely.js';
export type { KyselyStatement, KyselyTransaction } from './executor/from-kysely.js';
export { fromPrisma } from './executor/from-prisma.js';
export type { PrismaTransaction } from './executor/from-prisma.js';
export type { PgExecutor, PgQueryable } from './executor/pg-executor.js';
export {
  getPgChannelToken,
  getPgNotifyHealthToken,
  getPgNotifyToken,
  getPgNotifyTransportToken,
  InjectPgChannel,
  InjectPgNotify,
} from './pg-notify.tokens.js';
