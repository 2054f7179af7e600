import type { Knex } from 'knex';
import { fromKnex } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';

export class Orders {
  constructor(
    private readonly knex: Knex,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(customer: string): Promise<void> {
    await this.knex.transaction(async (trx) => {
      const [order] = await trx('orders').insert({ customer }).returning('id');
      await this.pgNotify.notify(OrderEvents, { id: order.id, customer }, { executor: fromKnex(trx) });
    });
  }
}
