import { definePgChannel } from 'nest-pg-notify';

export const OrderEvents = definePgChannel<{ readonly id: number }>('order_events');
