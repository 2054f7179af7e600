import { Controller, Injectable, Sse } from '@nestjs/common';
import { definePgChannel, PgNotifyService } from 'nest-pg-notify';
import { map } from 'rxjs';

export interface Order {
  readonly id: number;
  readonly customer: string;
}

export const OrderEvents = definePgChannel<Order>('order_events');

@Injectable()
export class Reports {
  orders = 0;

  async summary(): Promise<{ orders: number }> {
    return { orders: this.orders };
  }
}

@Controller()
export class DashboardController {
  private readonly summary$;

  constructor(pgNotify: PgNotifyService, reports: Reports) {
    this.summary$ = pgNotify.liveQuery(OrderEvents, () => reports.summary());
  }

  @Sse('summary')
  summary() {
    return this.summary$.pipe(map((data) => ({ data })));
  }
}
