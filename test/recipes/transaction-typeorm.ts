import type { PgNotifyService } from 'nest-pg-notify';
import { EntitySchema } from 'typeorm';
import type { DataSource } from 'typeorm';
import { OrderEvents } from './order-events.js';

export const Order = new EntitySchema<{ id: number; customer: string }>({
  name: 'orders',
  columns: { id: { type: 'int', primary: true, generated: true }, customer: { type: 'text' } },
});

export class Orders {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(customer: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const { id } = await manager.save(Order, { customer });
      await this.pgNotify.notify(OrderEvents, { id, customer }, { executor: manager });
    });
  }
}
