import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';
import type { Observable } from 'rxjs';
import { OrderEvents } from './dashboard.js';

@Injectable()
export class CustomerSummaries {
  private readonly known = new Map<string, Observable<{ orders: number }>>();

  constructor(
    private readonly pgNotify: PgNotifyService,
    private readonly pool: Pool,
  ) {}

  summaryOf(customer: string): Observable<{ orders: number }> {
    const known = this.known.get(customer);
    if (known) return known;
    const summary$ = this.pgNotify.liveQuery(OrderEvents, async () => {
      const { rows } = await this.pool.query('SELECT count(*)::int AS orders FROM orders WHERE customer = $1', [
        customer,
      ]);
      return rows[0] as { orders: number };
    });
    this.known.set(customer, summary$);
    return summary$;
  }
}
