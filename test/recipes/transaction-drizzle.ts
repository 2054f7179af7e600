import { sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { fromDrizzle } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';

export const orders = pgTable('orders', {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  customer: text().notNull(),
});

export class Orders {
  constructor(
    private readonly db: NodePgDatabase,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(customer: string): Promise<void> {
    await this.db.transaction(async (tx) => {
      const [order] = await tx.insert(orders).values({ customer }).returning();
      await this.pgNotify.notify(OrderEvents, { id: order!.id, customer }, { executor: fromDrizzle(tx, sql) });
    });
  }
}
