import type { PgNotifyService } from 'nest-pg-notify';
import type { Sql } from 'postgres';
import { OrderEvents } from './order-events.js';

export class Orders {
  constructor(
    private readonly sql: Sql,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(customer: string): Promise<void> {
    await this.sql.begin(async (tx) => {
      const [order] = await tx`INSERT INTO orders (customer) VALUES (${customer}) RETURNING id`;
      await this.pgNotify.notify(
        OrderEvents,
        { id: order!.id, customer },
        { executor: (text, values) => tx.unsafe(text, values) },
      );
    });
  }
}
