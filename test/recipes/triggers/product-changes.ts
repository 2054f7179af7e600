import { definePgChannel, pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';

export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });

export const productTrigger: PgTriggerOptions = {
  table: 'products',
  channel: ProductChanges,
  key: 'id',
  columns: ['name', 'price'],
};
