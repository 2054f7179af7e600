import { definePgChannel } from 'nest-pg-notify';
import { z } from 'zod';

/** What the trigger on the table `products` sends; whatever else comes on this channel reaches no handler. */
export const ProductChanges = definePgChannel('product_changes', {
  schema: z.object({ op: z.enum(['insert', 'update', 'delete']), id: z.number().int().positive() }),
});
