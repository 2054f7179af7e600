import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgNotify } from 'nest-pg-notify';

export interface Order {
  readonly id: number;
  readonly customer: string;
}
export const OrderEvents = definePgChannel<Order>('order_events'); // a channel, and the type of what travels on it

@Injectable()
export class OrderLog {
  @OnPgNotify(OrderEvents)
  print({ id, customer }: Order): void {
    console.log(`Order ${id} of ${customer}`);
  }
}
