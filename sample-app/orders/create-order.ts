import { z } from 'zod';

const MAX_AMOUNT = 1_000_000;

/** What a request must hold to create an order. */
export const createOrder = z.object({
  region: z.string('must be a text').regex(/^[a-z]{2,16}$/, 'must be 2 to 16 lower-case letters, for example "eu"'),
  amount: z.int('must be a whole number').min(1, 'must be at least 1').max(MAX_AMOUNT, `must be at most ${MAX_AMOUNT}`),
});

export type CreateOrder = z.infer<typeof createOrder>;

/** What a request must hold to create many orders at once. */
export const createOrders = z.object({ count: z.int().min(1).max(5_000) });

export type CreateOrders = z.infer<typeof createOrders>;
