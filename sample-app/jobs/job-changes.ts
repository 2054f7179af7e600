import { definePgChannel, pgTableChangeSchema } from 'nest-pg-notify/triggers';

/** Jobs were added, finished or given up, as the trigger on their table says. The dashboard counts them anew. */
export const JobChanges = definePgChannel('job_changes', { schema: pgTableChangeSchema<number>() });
