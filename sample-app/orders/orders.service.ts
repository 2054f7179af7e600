import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { Database } from '../database/database.js';
import { JobQueue } from '../jobs/job-queue.js';
import type { CreateOrder } from './create-order.pipe.js';
import type { OrderSummary } from './order-summary.js';
import type { Order } from './order.js';

const COLUMNS = 'id, region, amount, status, created_at AS "createdAt"';

@Injectable()
export class OrdersService {
  constructor(
    private readonly database: Database,
    private readonly pgNotify: PgNotifyService,
  ) {}

  /** Stores an order together with the job to pack it: both, or neither. Their notifications are sent with the commit. */
  async create({ region, amount }: CreateOrder): Promise<Order> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<Order>(
        `INSERT INTO orders (region, amount) VALUES ($1, $2) RETURNING ${COLUMNS}`,
        [region, amount],
      );
      const [order] = rows as [Order];
      await client.query(`INSERT INTO jobs (kind, order_id) VALUES ('pack', $1)`, [order.id]);
      await this.pgNotify.notify(JobQueue, undefined, { executor: client });
      return order;
    });
  }

  /** The newest orders, the newest first. */
  async latest(): Promise<Order[]> {
    return this.database.query<Order>(`SELECT ${COLUMNS} FROM orders ORDER BY id DESC LIMIT 20`);
  }

  async summary(): Promise<OrderSummary> {
    const [summary] = await this.database.query<OrderSummary & { [column: string]: unknown }>(
      `SELECT count(*)::int AS orders,
        coalesce(sum(amount) FILTER (WHERE status <> 'cancelled'), 0)::float AS revenue,
        (count(*) FILTER (WHERE status = 'new'))::int AS waiting,
        (count(*) FILTER (WHERE status = 'shipped'))::int AS shipped
      FROM orders`,
    );
    return summary!;
  }
}
