import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { JobChanges } from '../jobs/job-changes.js';
import { MailChanges } from '../mail/mail-changes.js';
import { OrderEvents } from '../orders/order-events.js';
import { ProductChanges } from '../products/product-changes.js';

export const productTrigger: PgTriggerOptions = { table: 'products', channel: ProductChanges, key: 'id' };

export const orderTrigger: PgTriggerOptions = {
  table: 'orders',
  channel: OrderEvents,
  key: 'id',
  include: ['region', 'amount', 'status'],
  on: ['insert', 'update'],
};

/** Nobody reads which jobs have changed: with `maxKeys: 1` the notifications stay small. */
export const jobTrigger: PgTriggerOptions = { table: 'jobs', channel: JobChanges, key: 'id', maxKeys: 1 };

export const mailTrigger: PgTriggerOptions = { table: 'mails', channel: MailChanges, key: 'message_id', maxKeys: 1 };

/** The triggers that announce changes of tables. A migration makes these triggers; each start checks that they are there. */
export const triggers: readonly PgTriggerOptions[] = [productTrigger, orderTrigger, jobTrigger, mailTrigger];
