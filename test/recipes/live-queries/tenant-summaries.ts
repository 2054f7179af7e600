import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';
import type { Observable } from 'rxjs';
import { OrderEvents } from './dashboard.js';

@Injectable()
export class TenantSummaries {
  private readonly known = new Map<string, Observable<{ orders: number }>>();

  constructor(
    private readonly pgNotify: PgNotifyService,
    private readonly pool: Pool,
  ) {}

  summaryOf(tenant: string): Observable<{ orders: number }> {
    const known = this.known.get(tenant);
    if (known) return known;
    const summary$ = this.pgNotify.liveQuery(OrderEvents, async () => {
      const { rows } = await this.pool.query('SELECT count(*)::int AS orders FROM orders WHERE tenant = $1', [tenant]);
      return rows[0] as { orders: number };
    });
    this.known.set(tenant, summary$);
    return summary$;
  }
}
