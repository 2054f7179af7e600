import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import type { Product } from '../products/product.js';
import type { Order } from '../orders/order.js';

/** The shop in figures. */
export interface Summary {
  readonly orders: number;
  readonly revenue: number;
  readonly waiting: number;
  readonly shipped: number;
  readonly jobs: { readonly waiting: number; readonly done: number; readonly failed: number };
  readonly mails: number;
  readonly newest: readonly Pick<Order, 'id' | 'region' | 'amount' | 'status'>[];
  readonly products: readonly Product[];
}

@Injectable()
export class Summaries {
  constructor(private readonly database: Database) {}

  /** One query, so that all figures are of one moment. */
  async load(): Promise<Summary> {
    const [row] = await this.database.query<{ summary: Summary }>(
      `SELECT json_build_object(
        'orders', count(*),
        'revenue', coalesce(sum(amount) FILTER (WHERE status <> 'cancelled'), 0),
        'waiting', count(*) FILTER (WHERE status = 'new'),
        'shipped', count(*) FILTER (WHERE status = 'shipped'),
        'jobs', (SELECT json_build_object(
            'waiting', count(*) FILTER (WHERE finished_at IS NULL AND failed_at IS NULL),
            'done', count(finished_at),
            'failed', count(failed_at)
          ) FROM jobs),
        'mails', (SELECT count(*) FROM mails),
        'newest', (SELECT coalesce(json_agg(o ORDER BY id DESC), '[]') FROM (
            SELECT id, region, amount, status FROM orders ORDER BY id DESC LIMIT 5
          ) AS o),
        'products', (SELECT coalesce(json_agg(p ORDER BY name), '[]') FROM (
            SELECT id, name, price FROM products ORDER BY name LIMIT 20
          ) AS p)
      ) AS summary FROM orders`,
    );
    return row!.summary;
  }
}
