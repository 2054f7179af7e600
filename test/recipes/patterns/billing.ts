import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import type { Order } from './order-log.js';
import { OrderEvents } from './order-log.js';

/** Stands for what charges cards somewhere else. */
@Injectable()
export class Payments {
  readonly charged = new Map<string, string>();

  async charge(customer: string, { idempotencyKey }: { idempotencyKey: string }): Promise<void> {
    this.charged.set(idempotencyKey, customer);
  }
}

@Injectable()
export class Billing {
  constructor(private readonly payments: Payments) {}

  @OnPgEvent(OrderEvents, { consumer: 'billing' })
  async charge(order: Order, event: PgEvent): Promise<void> {
    await this.payments.charge(order.customer, { idempotencyKey: event.id }); // A repetition has the same id.
  }
}
