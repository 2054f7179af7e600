import { Controller, Module, Sse } from '@nestjs/common';
import { definePgChannel, InjectPgChannel, PgNotifyModule } from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import { map } from 'rxjs';
import type { Observable } from 'rxjs';

export interface Order {
  readonly id: number;
  readonly customer: string;
}

const OrderEvents = definePgChannel<Order>('order_events');

@Controller()
export class OrdersController {
  constructor(@InjectPgChannel(OrderEvents) private readonly orders$: Observable<PgNotification<Order>>) {}

  @Sse('orders/stream')
  stream() {
    return this.orders$.pipe(map(({ payload }) => ({ data: payload })));
  }
}

@Module({ imports: [PgNotifyModule.forFeature([OrderEvents])], controllers: [OrdersController] })
export class OrdersModule {}
