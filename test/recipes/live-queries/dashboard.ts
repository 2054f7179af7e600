import { Injectable } from '@nestjs/common';
import { definePgChannel, PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';

export const OrderEvents = definePgChannel<{ id: number }>('order_events');

export interface Summary {
  readonly orders: number;
  readonly amount: number;
}

@Injectable()
export class Dashboard {
  /** One query for all who watch. Whether the value may be outdated goes with it. */
  readonly summary$;

  constructor(pgNotify: PgNotifyService, pool: Pool) {
    const load = async (): Promise<Summary> => {
      const { rows } = await pool.query(
        'SELECT count(*)::int AS orders, coalesce(sum(amount), 0)::int AS amount FROM orders',
      );
      return rows[0];
    };
    this.summary$ = pgNotify.liveQuery(OrderEvents, load, { minInterval: 200, stale: true, timeout: 5_000 });
  }
}
