import { Injectable } from '@nestjs/common';
import { definePgChannel, PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';

export interface Order {
  readonly id: number;
  readonly customer: string;
}

export const OrderEvents = definePgChannel<Order>('order_events');

export interface Summary {
  readonly orders: number;
  readonly customers: number;
}

@Injectable()
export class Dashboard {
  /** One query for all who watch. Whether the value may be outdated goes with it. */
  readonly summary$;

  constructor(pgNotify: PgNotifyService, pool: Pool) {
    const load = async (): Promise<Summary> => {
      const { rows } = await pool.query(
        'SELECT count(*)::int AS orders, count(DISTINCT customer)::int AS customers FROM orders',
      );
      return rows[0];
    };
    this.summary$ = pgNotify.liveQuery(OrderEvents, load, { minInterval: 200, stale: true, timeout: 5_000 });
  }
}
