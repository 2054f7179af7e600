import type { PgNotifyService } from 'nest-pg-notify';
import type { Pool } from 'pg';
import { OrderEvents } from './order-events.js';

export class Orders {
  constructor(
    private readonly pool: Pool,
    private readonly pgNotify: PgNotifyService,
  ) {}

  async create(customer: string): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query('INSERT INTO orders (customer) VALUES ($1) RETURNING *', [customer]);
      await this.pgNotify.notify(OrderEvents, rows[0], { executor: client });
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}
