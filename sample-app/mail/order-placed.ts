import { definePgChannel } from 'nest-pg-notify';
import { z } from 'zod';

const placedOrder = z.object({ id: z.int(), region: z.string(), amount: z.int() });

export type OrderPlaced = z.infer<typeof placedOrder>;

/** A durable event, not a notification: nobody who buys something is left without a mail. */
export const OrderPlacedEvents = definePgChannel('order_placed', { schema: placedOrder });
