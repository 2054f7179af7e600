import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { PgEvents } from 'nest-pg-notify/events'; // Only for durable events.
import { Pool } from 'pg';
import { OrderEvents } from './order-log.js';

@Injectable()
export class Orders {
  constructor(
    private readonly pool: Pool,
    private readonly pgNotify: PgNotifyService,
    private readonly events: PgEvents, // Only for durable events.
  ) {}

  async count(): Promise<{ orders: number }> {
    const { rows } = await this.pool.query('SELECT count(*)::int AS orders FROM orders');
    return rows[0];
  }

  async place(customer: string): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query('INSERT INTO orders (customer) VALUES ($1) RETURNING *', [customer]);
      await client.query('INSERT INTO jobs (order_id) VALUES ($1)', [rows[0].id]);
      await this.pgNotify.notify(OrderEvents, rows[0], { executor: client });
      await this.pgNotify.notify('job_queue', undefined, { executor: client });
      await this.events.publish(OrderEvents, rows[0], { executor: client, key: customer }); // Only for durable events.
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}
