import type { PgNotifyService } from 'nest-pg-notify';
import { EntitySchema } from 'typeorm';
import type { DataSource } from 'typeorm';
import { OrderEvents } from './order-events.js';

export const Order = new EntitySchema<{ id: number; item: string }>({
  name: 'orders',
  columns: { id: { type: 'int', primary: true, generated: true }, item: { type: 'text' } },
});

export class Orders {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(item: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const { id } = await manager.save(Order, { item });
      await this.pgNotify.notify(OrderEvents, { id }, { executor: manager });
    });
  }
}
