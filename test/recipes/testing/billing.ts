import { Injectable, Module } from '@nestjs/common';
import { definePgChannel, PgNotifyModule } from 'nest-pg-notify';
import { OnPgEvent, PgEvents, PgEventsModule } from 'nest-pg-notify/events';

export interface Order {
  readonly id: number;
  readonly customer: string;
}

export const OrderEvents = definePgChannel<Order>('order_events');

@Injectable()
export class Billing {
  readonly charged: number[] = [];
  isDown = false;

  @OnPgEvent(OrderEvents, { consumer: 'billing' })
  charge({ id }: Order): void {
    if (this.isDown) throw new Error('The bank does not answer.');
    this.charged.push(id);
  }
}

@Injectable()
export class Orders {
  constructor(private readonly events: PgEvents) {}

  async place(order: Order): Promise<void> {
    await this.events.publish(OrderEvents, order, { executor: false, key: order.customer });
  }
}

@Module({
  imports: [
    PgNotifyModule.forRoot({ connection: process.env.DATABASE_URL! }),
    PgEventsModule.forRoot({ retry: { attempts: 1 } }),
  ],
  providers: [Billing, Orders],
})
export class AppModule {}
