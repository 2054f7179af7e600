import type { PgNotifyService } from 'nest-pg-notify';
import type { Pool } from 'pg';
import { OrderEvents } from './order-events.js';

export class Orders {
  constructor(
    private readonly pool: Pool,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(item: string): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [item]);
      await this.pgNotify.notify(OrderEvents, { id: rows[0].id }, { executor: client });
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}
