import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { PgEvents } from 'nest-pg-notify/events';
import type { PoolClient } from 'pg';
import { Database } from '../database/database.js';
import { JobQueue } from '../jobs/job-queue.js';
import { OrderPlacedEvents } from '../mail/order-placed.js';
import type { CreateOrder } from './create-order.js';
import type { Order } from './order.js';

const COLUMNS = 'id, region, amount, status, created_at AS "createdAt"';

@Injectable()
export class OrdersService {
  constructor(
    private readonly database: Database,
    private readonly pgNotify: PgNotifyService,
    private readonly events: PgEvents,
  ) {}

  /**
   * Stores an order, the job to pack it, and the event that it was placed: all of it, or nothing. The notifications are sent
   * with the commit.
   */
  async create({ region, amount }: CreateOrder): Promise<Order> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<Order>(
        `INSERT INTO orders (region, amount) VALUES ($1, $2) RETURNING ${COLUMNS}`,
        [region, amount],
      );
      await this.follow(client, rows);
      return rows[0]!;
    });
  }

  /** The same for many orders with made-up contents, in one transaction and with one statement for each table. */
  async createMany(count: number): Promise<void> {
    await this.database.transaction(async (client) => {
      const { rows } = await client.query<Order>(
        `INSERT INTO orders (region, amount)
        SELECT (ARRAY['eu', 'us', 'asia'])[1 + n % 3], 1 + (random() * 99)::int FROM generate_series(1, $1::int) AS n
        RETURNING ${COLUMNS}`,
        [count],
      );
      await this.follow(client, rows);
    });
  }

  /** The newest orders, the newest first. */
  async latest(): Promise<Order[]> {
    return this.database.query<Order>(`SELECT ${COLUMNS} FROM orders ORDER BY id DESC LIMIT 20`);
  }

  /** What new orders bring about, in the transaction that stores them. */
  private async follow(client: PoolClient, orders: readonly Order[]): Promise<void> {
    const ids = orders.map(({ id }) => id);
    await client.query(`INSERT INTO jobs (kind, order_id) SELECT 'pack', unnest($1::int[])`, [ids]);
    await this.pgNotify.notify(JobQueue, undefined, { executor: client });
    const placed = orders.map(({ id, region, amount }) => ({ payload: { id, region, amount }, key: String(id) }));
    await this.events.publishMany(OrderPlacedEvents, placed, { executor: client });
  }
}
