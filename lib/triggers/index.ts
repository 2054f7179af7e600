/**
 * The entry `nest-pg-notify/triggers`, for migrations and scripts: it loads neither Nest nor `pg`. `definePgChannel` is
 * here too, so that the definition of a channel that a trigger writes to needs no other entry.
 *
 * @module
 */
export { definePgChannel } from '../channel/pg-channel.js';
export type { PgChannel, PgChannelOptions } from '../channel/pg-channel.js';
export { checkTrigger } from './check-trigger.js';
export type { PgTriggerCheck, PgTriggerState } from './check-trigger.js';
export { notifyTrigger } from './notify-trigger.js';
export type { PgTriggerSql } from './notify-trigger.js';
export { pgTableChangeSchema } from './pg-table-change.js';
export type { PgTableChange } from './pg-table-change.js';
export type { PgTableOperation, PgTriggerOptions } from './pg-trigger-options.js';
