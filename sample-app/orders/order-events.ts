import { definePgChannel, pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { z } from 'zod';

/** What the trigger on the table `orders` sends of each. It is a hint: a consumer that needs more, or must be sure, reads the order. */
const changedOrder = z.object({
  id: z.int(),
  region: z.string(),
  amount: z.int(),
  status: z.enum(['new', 'shipped', 'cancelled']),
});

export type OrderChange = PgTableChange<z.infer<typeof changedOrder>>;

export const OrderEvents = definePgChannel('order_events', { schema: pgTableChangeSchema(changedOrder) });
