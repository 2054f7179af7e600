import { Body, Controller, Get, Post, Sse } from '@nestjs/common';
import type { MessageEvent } from '@nestjs/common';
import { InjectPgChannel, PgNotifyService } from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import { map, merge, mergeMap } from 'rxjs';
import type { Observable } from 'rxjs';
import { createOrder, createOrders } from './create-order.js';
import type { CreateOrder, CreateOrders } from './create-order.js';
import { OrderEvents } from './order-events.js';
import type { OrderChange } from './order-events.js';
import type { Order } from './order.js';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(
    private readonly orders: OrdersService,
    private readonly pgNotify: PgNotifyService,
    @InjectPgChannel(OrderEvents) private readonly orderEvents$: Observable<PgNotification<OrderChange>>,
  ) {}

  @Post()
  create(@Body({ schema: createOrder }) order: CreateOrder): Promise<Order> {
    return this.orders.create(order);
  }

  @Post('many')
  async createMany(@Body({ schema: createOrders }) { count }: CreateOrders): Promise<{ created: number }> {
    await this.orders.createMany(count);
    return { created: count };
  }

  @Get()
  latest(): Promise<Order[]> {
    return this.orders.latest();
  }

  /**
   * Every order that was written, as a message. An event of the type `gap` says that there may have been others: read the
   * orders again. The first one, for the reason `start`, comes as soon as all that is written from then on is shown.
   */
  @Sse('stream')
  stream(): Observable<MessageEvent> {
    const events$ = this.orderEvents$.pipe(
      mergeMap(({ payload: { op, keys } }): MessageEvent[] =>
        keys === null
          ? [{ type: 'gap', data: { reason: 'bulk' } }] // Too many in one statement to name each.
          : keys.map((order) => ({ data: { op, ...order } })),
      ),
    );
    const gaps$ = this.pgNotify.gaps(OrderEvents).pipe(map(({ reason }) => ({ type: 'gap', data: { reason } })));
    return merge(events$, gaps$);
  }
}
