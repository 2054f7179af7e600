import type { PgNotifyService } from 'nest-pg-notify';
import type { Sql } from 'postgres';
import { OrderEvents } from './order-events.js';

export class Orders {
  constructor(
    private readonly sql: Sql,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(item: string): Promise<void> {
    await this.sql.begin(async (tx) => {
      const [order] = await tx`INSERT INTO orders (item) VALUES (${item}) RETURNING id`;
      await this.pgNotify.notify(
        OrderEvents,
        { id: order!.id },
        { executor: (text, values) => tx.unsafe(text, values) },
      );
    });
  }
}
