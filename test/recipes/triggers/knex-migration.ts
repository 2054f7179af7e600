import type { Knex } from 'knex';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { productTrigger } from './product-changes.js';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(notifyTrigger(productTrigger).up);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(notifyTrigger(productTrigger).down);
}
