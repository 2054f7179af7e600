import { Controller, Sse } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import { map } from 'rxjs';
import { OrderEvents } from './order-log.js';
import { Orders } from './orders.js';

@Controller()
export class DashboardController {
  private readonly count$;

  constructor(pgNotify: PgNotifyService, orders: Orders) {
    this.count$ = pgNotify.liveQuery(OrderEvents, () => orders.count(), { minInterval: 200 });
  }

  @Sse('orders/count')
  count() {
    return this.count$.pipe(map((data) => ({ data })));
  }
}
