import { Body, Controller, Injectable, Logger, Module, Post } from '@nestjs/common';
import { definePgChannel, PgNotifyModule } from 'nest-pg-notify';
import { OnPgEvent, PgEvents, PgEventsModule } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';
import { Pool } from 'pg';

export interface Order {
  readonly id: number;
  readonly customer: string;
}

export const OrderEvents = definePgChannel<Order>('order_events');

@Injectable()
export class Orders {
  constructor(
    private readonly pool: Pool,
    private readonly events: PgEvents,
  ) {}

  async place(customer: string): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query('INSERT INTO orders (customer) VALUES ($1) RETURNING *', [customer]);
      await this.events.publish(OrderEvents, rows[0], { executor: client, key: customer });
      if (customer === 'Mallory') throw new Error('Mallory may not order.'); // Neither the row nor the event is there then.
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: Orders) {}

  @Post()
  async place(@Body('customer') customer: string): Promise<void> {
    await this.orders.place(customer);
  }
}

@Injectable()
export class Billing {
  constructor(private readonly pool: Pool) {}

  /** Something outside of this database: it may happen twice if the process dies in the middle, so the event's id goes along. */
  @OnPgEvent(OrderEvents, { consumer: 'billing', concurrency: 8 })
  async charge(order: Order, event: PgEvent<Order>): Promise<void> {
    await this.chargeCard(order.customer, { idempotencyKey: event.id });
  }

  /** In this database: the row and "this event is handled" are committed together, so it happens exactly once. */
  @OnPgEvent(OrderEvents, { consumer: 'totals', transactional: true })
  async add(order: Order, _event: PgEvent<Order>, { tx }: PgEventContext): Promise<void> {
    await tx.query(
      `INSERT INTO totals (customer, orders) VALUES ($1, 1)
       ON CONFLICT (customer) DO UPDATE SET orders = totals.orders + 1`,
      [order.customer],
    );
  }

  /** What charges cards somewhere else; here it is a table. */
  private async chargeCard(customer: string, { idempotencyKey }: { idempotencyKey: string }): Promise<void> {
    await this.pool.query('INSERT INTO charges (customer, key) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      customer,
      idempotencyKey,
    ]);
  }
}

const pool = new Pool({ connectionString: process.env.DATABASE_URL });
// A restart of PostgreSQL ends idle connections. pg emits that as an error, which ends a process that does not listen.
pool.on('error', ({ message }) => new Logger('Pool').warn(message));

@Module({
  imports: [PgNotifyModule.forRoot({ connection: process.env.DATABASE_URL! }), PgEventsModule.forRoot()],
  controllers: [OrdersController],
  providers: [Orders, Billing, { provide: Pool, useValue: pool }],
})
export class AppModule {}
