import { definePgChannel, pgTableChangeSchema } from 'nest-pg-notify/triggers';
import { z } from 'zod';

/** Which products have changed, as the trigger on their table tells; whatever else comes on this channel reaches no handler. */
export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema(z.int().positive()) });
