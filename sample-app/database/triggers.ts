import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { OrderEvents } from '../orders/order-events.js';
import { ProductChanges } from '../products/product-changes.js';

const productTrigger: PgTriggerOptions = { table: 'products', channel: ProductChanges, key: 'id' };

const orderTrigger: PgTriggerOptions = {
  table: 'orders',
  channel: OrderEvents,
  key: 'id',
  include: ['region', 'amount', 'status'],
  on: ['insert', 'update'],
};

/** The triggers that announce changes of tables. A migration makes these triggers; each start checks that they are there. */
export const triggers: readonly PgTriggerOptions[] = [productTrigger, orderTrigger];
