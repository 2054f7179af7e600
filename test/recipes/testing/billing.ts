import { Injectable, Module } from '@nestjs/common';
import { definePgChannel, PgNotifyModule } from 'nest-pg-notify';
import { OnPgEvent, PgEvents, PgEventsModule } from 'nest-pg-notify/events';

export const OrderEvents = definePgChannel<{ id: number }>('order_events');

@Injectable()
export class Billing {
  readonly charged: number[] = [];
  isDown = false;

  @OnPgEvent(OrderEvents, { consumer: 'billing' })
  charge({ id }: { id: number }): void {
    if (this.isDown) throw new Error('The bank does not answer.');
    this.charged.push(id);
  }
}

@Injectable()
export class Orders {
  constructor(private readonly events: PgEvents) {}

  async place(id: number): Promise<void> {
    await this.events.publish(OrderEvents, { id }, { executor: false, key: String(id) });
  }
}

@Module({
  imports: [
    PgNotifyModule.forRoot({ connection: process.env['DATABASE_URL']! }),
    PgEventsModule.forRoot({ retry: { attempts: 1 } }),
  ],
  providers: [Billing, Orders],
})
export class AppModule {}
