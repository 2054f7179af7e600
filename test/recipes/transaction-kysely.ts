import type { Generated, Kysely } from 'kysely';
import { fromKysely } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';

export interface Database {
  orders: { id: Generated<number>; customer: string };
}

export class Orders {
  constructor(
    private readonly db: Kysely<Database>,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(customer: string): Promise<void> {
    await this.db.transaction().execute(async (tx) => {
      const { id } = await tx.insertInto('orders').values({ customer }).returning('id').executeTakeFirstOrThrow();
      await this.pgNotify.notify(OrderEvents, { id, customer }, { executor: fromKysely(tx) });
    });
  }
}
