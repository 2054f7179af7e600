import type { Generated, Kysely } from 'kysely';
import { fromKysely } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';

export interface Database {
  orders: { id: Generated<number>; item: string };
}

export class Orders {
  constructor(
    private readonly db: Kysely<Database>,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(item: string): Promise<void> {
    await this.db.transaction().execute(async (tx) => {
      const { id } = await tx.insertInto('orders').values({ item }).returning('id').executeTakeFirstOrThrow();
      await this.pgNotify.notify(OrderEvents, { id }, { executor: fromKysely(tx) });
    });
  }
}
