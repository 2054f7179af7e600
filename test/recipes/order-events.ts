import { definePgChannel } from 'nest-pg-notify';

export interface Order {
  readonly id: number;
  readonly customer: string;
}

export const OrderEvents = definePgChannel<Order>('order_events');
