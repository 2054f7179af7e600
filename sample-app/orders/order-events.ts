import { definePgChannel } from 'nest-pg-notify';
import type { OrderStatus } from './order.js';

/** What the trigger on the table `orders` sends. It is a hint: whoever needs more, or needs to be sure, reads the order. */
export interface OrderEvent {
  readonly op: 'insert' | 'update';
  readonly id: number;
  readonly region: string;
  readonly amount: number;
  readonly status: OrderStatus;
}

export const OrderEvents = definePgChannel<OrderEvent>('order_events');
