import { Body, Controller, Get, Post, Sse } from '@nestjs/common';
import type { MessageEvent } from '@nestjs/common';
import { InjectPgChannel, PgNotifyService } from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import { filter, map, merge, mergeMap } from 'rxjs';
import type { Observable } from 'rxjs';
import { CreateOrderPipe } from './create-order.pipe.js';
import type { CreateOrder } from './create-order.pipe.js';
import { OrderEvents } from './order-events.js';
import type { OrderChange } from './order-events.js';
import type { OrderSummary } from './order-summary.js';
import type { Order } from './order.js';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  private readonly summary$: Observable<OrderSummary>;

  constructor(
    private readonly orders: OrdersService,
    private readonly pgNotify: PgNotifyService,
    @InjectPgChannel(OrderEvents) private readonly orderEvents$: Observable<PgNotification<OrderChange>>,
  ) {
    this.summary$ = pgNotify.liveQuery(OrderEvents, () => orders.summary(), { minInterval: 100 });
  }

  @Post()
  create(@Body(CreateOrderPipe) order: CreateOrder): Promise<Order> {
    return this.orders.create(order);
  }

  @Get()
  latest(): Promise<Order[]> {
    return this.orders.latest();
  }

  /**
   * Every order that was written, as a message. An event of the type `gap` says that there may have been others: read the
   * orders again. A client does that when its stream opens anyway, so the gap that every stream begins with is left out.
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
    const gaps$ = this.pgNotify.gaps(OrderEvents).pipe(
      filter(({ reason }) => reason !== 'start'),
      map(({ reason }) => ({ type: 'gap', data: { reason } })),
    );
    return merge(events$, gaps$);
  }

  /** The summary now, and whenever it has changed: one query for all clients. */
  @Sse('summary')
  summary(): Observable<MessageEvent> {
    return this.summary$.pipe(map((data) => ({ data })));
  }
}
